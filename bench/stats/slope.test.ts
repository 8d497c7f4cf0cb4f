import { expect, test } from 'vitest';
import { fitSlope, judgeGrowth } from './slope.ts';

const line = (count: number, value: (index: number) => number) =>
  Array.from({ length: count }, (_, index) => ({ minute: index / 12, value: value(index) }));
/** A saw of a few samples a tooth, as garbage collection makes it. */
const saw = (index: number): number => (index % 7) * 3;

test('a straight line is found exactly', () => {
  const slope = fitSlope(line(20, (index) => 100 + (index / 12) * 2));
  expect(slope?.perMinute).toBeCloseTo(2, 9);
  expect(slope?.low).toBeCloseTo(2, 6);
  expect(slope?.high).toBeCloseTo(2, 6);
});

test('the slope and interval of a textbook example come out', () => {
  // Independent noise, so that nothing is widened: residuals alternate.
  const slope = fitSlope(line(12, (index) => (index % 2 === 0 ? 1 : -1)));
  // By hand: Σ(x−x̄)² = 143/144, Σ(x−x̄)(y−ȳ) = −6/12 … slope −0.5035; s² = (12 − 36/143)/10; t(10) = 2.228.
  expect(slope?.perMinute).toBeCloseTo(-72 / 143, 6);
  expect((slope?.high ?? 0) - (slope?.perMinute ?? 0)).toBeCloseTo(2.228 * Math.sqrt((12 - 36 / 143) / 10 / (143 / 144)), 2);
});

test.each([
  ['a leak of 3 MiB a minute under a saw', (index: number) => 200 + index / 4 + saw(index), 'growing'],
  ['a saw that stays level for ten minutes', (index: number) => 200 + saw(index), 'flat'],
] as const)('%s is told', (_, value, verdict) => {
  expect(judgeGrowth(fitSlope(line(120, value)), 1)).toBe(verdict);
});

test('too short a run, or one too noisy, cannot be told', () => {
  expect(judgeGrowth(fitSlope(line(5, () => 1)), 1)).toBe('could not tell');
  expect(judgeGrowth(fitSlope(line(14, (index) => saw(index * 3) * 20)), 1)).toBe('could not tell');
});

test('noise that lasts widens the interval', () => {
  const steps = line(60, (index) => (Math.floor(index / 6) % 2 === 0 ? 5 : -5));
  const alternating = line(60, (index) => (index % 2 === 0 ? 5 : -5));
  const width = (samples: typeof steps): number => {
    const slope = fitSlope(samples);
    return (slope?.high ?? 0) - (slope?.low ?? 0);
  };
  expect(width(steps)).toBeGreaterThan(1.5 * width(alternating));
});
