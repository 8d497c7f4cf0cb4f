import fc from 'fast-check';
import { expect, test } from 'vitest';
import { distanceKm, judgeMovement } from './great-circle.ts';

const berlin = { latitude: 52.52, longitude: 13.405 };
const paris = { latitude: 48.8566, longitude: 2.3522 };
const sydney = { latitude: -33.8688, longitude: 151.2093 };
const hour = 3_600_000;

test.each([
  [berlin, paris, 877],
  [berlin, sydney, 16_090],
  [{ latitude: 0, longitude: 179.5 }, { latitude: 0, longitude: -179.5 }, 111],
  [{ latitude: 90, longitude: 0 }, { latitude: -90, longitude: 0 }, 20_015],
])('great-circle distances are right to 1 %% (%j, %j)', (a, b, expected) => {
  expect(Math.abs(distanceKm(a, b) - expected)).toBeLessThan(expected * 0.01);
});

test('a distance is the same both ways, and none to where one is', () => {
  const place = fc.record({
    latitude: fc.double({ min: -90, max: 90, noNaN: true }),
    longitude: fc.double({ min: -180, max: 180, noNaN: true }),
  });
  fc.assert(
    fc.property(place, place, (a, b) => {
      expect(distanceKm(a, b)).toBeCloseTo(distanceKm(b, a), 6);
      expect(distanceKm(a, a)).toBe(0);
      expect(distanceKm(a, b)).toBeLessThanOrEqual(20_016);
    }),
  );
});

test('a flight is plausible, a leap is not, and a leap back in time is two places at once', () => {
  const move = (to: typeof berlin, arrivedMs: number) => judgeMovement({ from: berlin, leftMs: 0, to, arrivedMs });
  expect(move(sydney, 20 * hour)).toEqual({ kind: 'plausible' });
  expect(move(sydney, 10 * hour)).toEqual({ kind: 'impossible', kmPerHour: expect.closeTo(1_610, -2) });
  expect(move(paris, hour)).toEqual({ kind: 'plausible' });
  expect(move(paris, 0.5 * hour)).toEqual({ kind: 'impossible', kmPerHour: expect.closeTo(1_755, -2) });
  expect(move(paris, -1)).toEqual({ kind: 'two_places' });
  expect(move({ latitude: 52, longitude: 13 }, -1)).toEqual({ kind: 'plausible' });
});
