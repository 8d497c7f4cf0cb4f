import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRetryBudget, place } from './index.ts';

const S = 1_000_000;
const candidates = fc.array(
  fc.record({ replica: fc.record({ outstanding: fc.nat(20), pausedUntilUs: fc.constantFrom(0, 5, 50) }) }),
  {
    minLength: 1,
    maxLength: 12,
  },
);

describe('placement by least open work', () => {
  test('takes a replica that no free one beats, and never one that is tried or paused', () => {
    fc.assert(
      fc.property(candidates, fc.array(fc.nat(11)), fc.double({ min: 0, max: 0.999_999, noNaN: true }), (all, tried, draw) => {
        const avoid = new Set(tried);
        const answer = place(all, avoid, 10, draw);
        const free = all.filter((one, index) => !avoid.has(index) && one.replica.pausedUntilUs <= 10);
        if (answer.kind === 'replica') {
          expect(free).toContain(all[answer.index]);
          expect(all[answer.index]?.replica.outstanding).toBe(Math.min(...free.map((one) => one.replica.outstanding)));
        } else {
          expect(free).toEqual([]);
          expect(answer.kind).toBe(all.some((_, index) => !avoid.has(index)) ? 'paused' : 'exhausted');
        }
      }),
    );
  });

  test('equals share the work', () => {
    const equals = [0, 1, 2, 3].map(() => ({ replica: { outstanding: 1, pausedUntilUs: 0 } }));
    const chosen = new Set(
      [0, 0.25, 0.5, 0.75].map((draw) => place(equals, new Set(), 0, draw)).map((p) => (p.kind === 'replica' ? p.index : -1)),
    );
    expect(chosen).toEqual(new Set([0, 1, 2, 3]));
  });
});

describe('the retry budget', () => {
  test('allows a tenth of the requests of ten seconds, and a floor', () => {
    const budget = createRetryBudget({ ratio: 0.1, floorPerSecond: 3 });
    for (let i = 0; i < 1000; i++) budget.request(S);
    let taken = 0;
    while (budget.tryTake(2 * S)) taken++;
    expect(taken).toBe(130);
    expect(budget.tryTake(10 * S)).toBe(false);
  });

  test('an hour of silence forgets the past; a clock that steps back does not', () => {
    const budget = createRetryBudget({ ratio: 1, floorPerSecond: 0 });
    budget.request(20 * S);
    expect(budget.tryTake(20 * S)).toBe(true);
    expect(budget.tryTake(5 * S)).toBe(false);
    budget.request(3620 * S);
    expect(budget.tryTake(3620 * S)).toBe(true);
  });
});
