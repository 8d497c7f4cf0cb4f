import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  breakerAfter,
  breakerAnswered,
  breakerFailed,
  breakerProbes,
  CLOSED_BREAKER,
  SHARE_AFTER_US,
  type Breaker,
} from './breaker.ts';

const open = (nowUs: number): Breaker => breakerFailed(CLOSED_BREAKER, 'no answer', nowUs, 0);
const probing = (breaker: Breaker, nowUs: number): Breaker => {
  const next = breakerProbes(breaker, nowUs);
  if (next === null) throw new Error('no probe is due');
  return next;
};

test('the first failure opens the breaker, a probe follows at once, and its answer closes it', () => {
  const opened = open(1_000);
  expect(opened).toEqual({ kind: 'open', sinceUs: 1_000, because: 'no answer', probes: 0, probeAtUs: 1_000 });
  expect(breakerAnswered(probing(opened, 1_000), 3_000)).toBe(CLOSED_BREAKER);
});

test('others that were under way when it opened are no news, and an answer that was not a probe closes nothing', () => {
  const opened = open(1_000);
  expect(breakerFailed(opened, 'another', 2_000, 0)).toBe(opened);
  expect(breakerAnswered(opened, 2_000)).toBe(opened);
});

test('one probe is under way at a time, each after twice the pause of the one before, up to a second', () => {
  let breaker = open(0);
  let nowUs = 0;
  const pausesMs: number[] = [];
  for (let round = 0; round < 9; round++) {
    const under = probing(breaker, nowUs);
    expect(breakerProbes(under, nowUs + 1e9)).toBeNull();
    breaker = breakerFailed(under, 'no answer', nowUs, 0);
    if (breaker.kind !== 'open') throw new Error(breaker.kind);
    expect(breakerProbes(breaker, breaker.probeAtUs - 1)).toBeNull();
    pausesMs.push((breaker.probeAtUs - nowUs) / 1_000);
    nowUs = breaker.probeAtUs;
  }
  expect(pausesMs).toEqual([20, 40, 80, 160, 320, 640, 1_000, 1_000, 1_000]);
  expect(breaker).toMatchObject({ sinceUs: 0 });
});

test('chance spreads the probes of a fleet over half of each pause', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (chance) => {
      const again = breakerFailed(probing(open(0), 0), 'no answer', 0, chance);
      return again.kind === 'open' && again.probeAtUs >= 10_000 && again.probeAtUs <= 20_000;
    }),
  );
});

test('whenever shares may have been used anywhere, gateways tell the store first and ask it later', () => {
  const back = breakerAnswered(probing(open(0), 0), SHARE_AFTER_US);
  expect(back).toMatchObject({ kind: 'learning', sinceUs: 0, untilUs: SHARE_AFTER_US + 1_500_000 });
  expect(breakerAfter(back, SHARE_AFTER_US + 1_499_999)).toBe(back);
  expect(breakerAfter(back, SHARE_AFTER_US + 1_500_000)).toBe(CLOSED_BREAKER);
  expect(breakerFailed(back, 'gone again', SHARE_AFTER_US + 9, 0)).toMatchObject({ kind: 'open', sinceUs: 0, probes: 0 });
});
