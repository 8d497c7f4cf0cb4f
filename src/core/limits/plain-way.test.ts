import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMeterBook, newDecisionSlot, type DecisionSlot } from './meter-book.ts';
import { groupOf, perMinute, rateOf, ruleOf, scopeOf } from './meter-kit.fixture.ts';
import { countMeters, type MeterGroup } from './meters.ts';
import { unitsLeft, UNLIMITED } from './rate.ts';

const DAY_MS = 86_400_000;
const RULES = ['rpm', 'metered', 'dry', 'daily', 'monthly', 'places', 'none'].map((id) =>
  ruleOf(id, { isMetered: id === 'metered', isDryRun: id === 'dry' }),
);
const RATES = [
  perMinute(9),
  perMinute(3),
  perMinute(5),
  rateOf({ kind: 'day', limit: 9 }),
  rateOf({ kind: 'month', limit: 12 }),
  rateOf({ kind: 'places', limit: 8 }),
  UNLIMITED,
];
/** Its clock is of 1 ms, so a subject that has it takes the long way; it has room for everything. */
const COARSE = rateOf({ kind: 'rate', limit: 1_234_567, windowUs: DAY_MS * 1000, burst: 1_234_567 });

// Some 200 ms: fewer steps would seldom fill a limit, and cross a day and a month while it is full.
test('the short way to a decision and the long one decide alike: all kinds of meters, over days and months, in any order', () => {
  expect(COARSE.stepUs).toBeGreaterThan(1);
  const scopes = [scopeOf(0, [...RULES, ruleOf('coarse')]), scopeOf(1, [...RULES, ruleOf('coarse')])];
  const [short, long] = [
    [...RATES, UNLIMITED],
    [...RATES, COARSE],
  ];
  const groups = (isShort: boolean, subject: number): readonly MeterGroup[] =>
    scopes.map((scope) => groupOf(scope, subject, isShort ? short : long));
  const step = fc.record({
    gapUs: fc.oneof(fc.nat(3_000_000), fc.nat(60_000_000)),
    wallMs: fc.integer({ min: -DAY_MS, max: 3 * DAY_MS }),
    subject: fc.nat(1),
    costs: fc.array(fc.nat(2), { minLength: 16, maxLength: 16 }),
    isSettled: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const books = [true, false].map((isShort) => ({ isShort, book: createMeterBook({ subjectsMax: 100 }) }));
      let nowUs = 0;
      let wallMs = Date.UTC(2026, 0, 30);
      for (const { gapUs, wallMs: gapMs, subject, costs, isSettled } of steps) {
        nowUs += gapUs;
        wallMs += gapMs;
        const answers = books.map(({ isShort, book }): DecisionSlot => {
          const own = groups(isShort, subject);
          const slot = newDecisionSlot(countMeters(own));
          const flat = Float64Array.from(costs, (cost, place) => (place % 8 === 7 ? 0 : isSettled ? 1 - cost : cost));
          if (isSettled) book.settle(own, flat, nowUs, wallMs);
          if (isSettled) book.peek(own, nowUs, wallMs, slot);
          else book.take({ groups: own, costs: flat }, nowUs, wallMs, slot);
          return slot;
        });
        expect(answers[0]).toEqual(answers[1]);
        expect(books[0]?.book.wouldHaveRefused).toEqual(books[1]?.book.wouldHaveRefused);
      }
    }),
    { numRuns: 30 },
  );
});

test('the first request after a limit was lowered is counted on the new one', () => {
  const book = createMeterBook({ subjectsMax: 100 });
  const slot = newDecisionSlot(1);
  const take = (limit: number, cost: number): number => {
    const rate = perMinute(limit);
    book.take({ groups: [groupOf(scopeOf(0, [ruleOf('rpm')]), 1, [rate])], costs: Float64Array.of(cost) }, 0, 0, slot);
    return unitsLeft(rate, slot.ahead[0] as number);
  };
  expect(take(100, 50)).toBe(50);
  expect(take(10, 3)).toBe(2);
});
