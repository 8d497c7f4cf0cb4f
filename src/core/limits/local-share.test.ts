import fc from 'fast-check';
import { expect, test } from 'vitest';
import { boundsOf } from './bounds.ts';
import { chargedShare, localShare, refilled, shareWaitUs, untouchedShare } from './local-share.ts';
import { perMinute, rateOf, ruleOf } from './meter-kit.fixture.ts';
import { RATE_KINDS, type Rate } from './rate.ts';

/** Asks every share for one unit as often as it lets one pass; returns the times, in µs since the store went away. */
function greedy(share: Rate, untilUs: number, restsUntilUs: number): number[] {
  const passed: number[] = [];
  let [ahead, atUs] = [untouchedShare(share, restsUntilUs), restsUntilUs];
  while (atUs <= untilUs) {
    const waitUs = shareWaitUs(share, ahead, 1);
    if (waitUs === 0) {
      passed.push(atUs);
      ahead = chargedShare(share, ahead, 1);
    } else {
      ahead = refilled(share, ahead, waitUs);
      atUs += waitUs;
    }
  }
  return passed.filter((us) => us <= untilUs);
}

test('whatever was used before, and whenever each begins, shares together let pass no more than the limit refills', () => {
  const gateways = fc.integer({ min: 1, max: 6 });
  const rests = fc.array(fc.integer({ min: 0, max: 60_000_000 }), { minLength: 6, maxLength: 6 });
  fc.assert(
    fc.property(gateways, fc.integer({ min: 1, max: 90 }), rests, (count, limit, restUs) => {
      const rate = perMinute(limit);
      const share = localShare(rate, count);
      const all = restUs
        .slice(0, count)
        .flatMap((us) => greedy(share, 120_000_000, us))
        .toSorted((a, b) => a - b);
      // Against a limit whose burst had been used up whole, and against the burst at every moment since.
      const units = Math.max(rate.burst, count * share.burst);
      all.forEach((us, at) =>
        expect((at + 1) * 60_000_000).toBeLessThanOrEqual(
          us * limit + (count * share.burst > rate.burst ? units * 60_000_000 : 0),
        ),
      );
    }),
    { numRuns: 60 },
  );
});

test('a share is four fifths of an even part, exactly, and refills from empty', () => {
  const share = localShare(perMinute(600), 3);
  expect(share).toMatchObject({ kind: RATE_KINDS.rate, limit: 160, burst: 160 });
  expect(shareWaitUs(share, untouchedShare(share, 0), 1)).toBe(375_000);
  expect(shareWaitUs(share, untouchedShare(share, 374_999), 1)).toBe(1);
  expect(shareWaitUs(share, untouchedShare(share, 375_000), 1)).toBe(0);
  expect(shareWaitUs(share, untouchedShare(share, 60_000_000), 160)).toBe(0);
  expect(shareWaitUs(share, 0, 161)).toBe(Infinity);
});

test('a limit smaller than the fleet leaves each gateway one unit, as slowly as its part comes', () => {
  const share = localShare(perMinute(1), 3);
  expect(share.burst).toBe(1);
  expect(shareWaitUs(share, untouchedShare(share, 0), 1)).toBe(225_000_000);
});

test('numbers without room are rounded against the caller, and stay whole', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e9 }), fc.integer({ min: 1, max: 500 }), (limit, gateways) => {
      const rate = perMinute(limit);
      const share = localShare(rate, gateways);
      expect(Number.isSafeInteger(share.aheadMax + share.burstTicks)).toBe(true);
      // Units a step, times the gateways: at most four fifths of the rate's.
      const ours = (share.ticksPerStep / share.ticksPerUnit) * gateways;
      expect(ours).toBeLessThanOrEqual((rate.ticksPerStep / rate.ticksPerUnit) * 0.8 * (1 + 1e-12));
    }),
  );
});

test('a day is spread over its hours, places are divided, no limit stays none', () => {
  expect(shareWaitUs(localShare(rateOf({ kind: 'day', limit: 24 }), 1), 0, 1)).toBe(0);
  const day = localShare(rateOf({ kind: 'day', limit: 24 }), 2);
  expect(untouchedShare(day, 0)).toBe(day.burstTicks);
  expect(shareWaitUs(day, untouchedShare(day, 0), 1)).toBe(9_000_000_000);
  const places = localShare(rateOf({ kind: 'places', limit: 10 }), 4);
  expect([shareWaitUs(places, 1, 1), shareWaitUs(places, 2, 1)]).toEqual([0, Infinity]);
  expect(localShare(rateOf({ kind: 'places', limit: 0 }), 4).limit).toBe(0);
});

test('the bounds of a rule, as limit explain prints them', () => {
  const fleet = { gateways: 4, leaseMs: 2_000, placesLeaseMs: 10_000, chargeStep: 64 };
  expect(boundsOf(ruleOf('rpm'), perMinute(600), fleet)).toEqual({
    overshoot: { answering: 0, answeringPerStream: 0, away: 0, awayPerCutOff: 120, afterLoss: 600 },
    stranded: 290,
    heldBack: 20,
    stalenessMs: 2_000,
    lostPlaceMs: 0,
  });
  expect(boundsOf(ruleOf('otpm', { isMetered: true, whenAway: 'open' }), perMinute(80_000), fleet).overshoot).toMatchObject({
    answeringPerStream: 64,
    away: Infinity,
  });
  expect(
    boundsOf(ruleOf('spend', { whenAway: 'closed', isLeased: false }), rateOf({ kind: 'month', limit: 500 }), fleet),
  ).toEqual({
    overshoot: { answering: 0, answeringPerStream: 0, away: 0, awayPerCutOff: 0, afterLoss: 500 },
    stranded: 0,
    heldBack: 0,
    stalenessMs: 0,
    lostPlaceMs: 0,
  });
  expect(boundsOf(ruleOf('conc'), rateOf({ kind: 'places', limit: 64 }), fleet)).toMatchObject({
    overshoot: { away: 36, awayPerCutOff: 12, afterLoss: 64 },
    lostPlaceMs: 10_000,
  });
  expect(boundsOf(ruleOf('small'), perMinute(2), fleet).overshoot.away).toBe(2);
});
