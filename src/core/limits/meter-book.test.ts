import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMeterBook, newDecisionSlot, refusingMeter, type DecisionSlot, type MeterBook } from './meter-book.ts';
import { groupOf, perMinute, rateOf, ruleOf, scopeOf } from './meter-kit.fixture.ts';
import { countMeters, type MeterGroup } from './meters.ts';
import { compileRate, unitsLeft, UNLIMITED, usUntilFull, type Rate } from './rate.ts';

const MINUTE_US = 60_000_000;
const DAY_MS = 86_400_000;
const requests = scopeOf(0, [ruleOf('rpm')]);
const book = (): MeterBook => createMeterBook({ subjectsMax: 100_000 });

function take(on: MeterBook, groups: readonly MeterGroup[], costs: readonly number[], nowUs: number, wallMs = 0): DecisionSlot {
  const slot = newDecisionSlot(countMeters(groups));
  on.take({ groups, costs: Float64Array.from(costs) }, nowUs, wallMs, slot);
  return slot;
}
const settle = (on: MeterBook, groups: readonly MeterGroup[], deltas: readonly number[], nowUs: number, wallMs = 0): void =>
  on.settle(groups, Float64Array.from(deltas), nowUs, wallMs);
function peek(on: MeterBook, groups: readonly MeterGroup[], nowUs: number, wallMs = 0): readonly number[] {
  const slot = newDecisionSlot(countMeters(groups));
  on.peek(groups, nowUs, wallMs, slot);
  return [...slot.ahead];
}

test('the vector of redis-cell: burst 15 and one, 30 a minute: 15 left, full again in 2 s', () => {
  const rate = perMinute(30, 16);
  const answer = take(book(), [groupOf(requests, 1, [rate])], [1], 0);
  expect(answer.refusedBy).toBe(-1);
  expect(unitsLeft(rate, answer.ahead[0]!)).toBe(15);
  expect(usUntilFull(rate, answer.ahead[0]!)).toBe(2_000_000);
});

test('waiting exactly as long as it says is enough, and a microsecond less is not: every small rate, burst and cost', () => {
  const own = book();
  let [subject, from] = [0, 0];
  for (let limit = 1; limit <= 7; limit++)
    for (let windowUs = 1; windowUs <= 12; windowUs++)
      for (let burst = 1; burst <= 4; burst++)
        for (let cost = 1; cost <= burst; cost++) {
          const rate = rateOf({ kind: 'rate', limit, windowUs, burst });
          const groups = [groupOf(requests, subject++, [rate])];
          for (let nowUs = from; nowUs < from + 40; nowUs++) {
            const { refusedBy, waitUs } = take(own, groups, [cost], nowUs);
            if (refusedBy === -1) continue;
            expect(waitUs).toBeGreaterThan(0);
            for (let early = nowUs + 1; early < nowUs + waitUs; early++)
              expect(take(own, groups, [cost], early)).toMatchObject({ refusedBy: 0, waitUs: nowUs + waitUs - early });
            nowUs += waitUs;
            expect(take(own, groups, [cost], nowUs).refusedBy).toBe(-1);
          }
          from += 100;
        }
});

/** The same law in unbounded rationals: what a meter with all the room in the world would say. */
class Reference {
  #fullAt = 0n; // in 1/limit µs
  readonly #limit: bigint;
  readonly #windowUs: bigint;
  readonly #burst: bigint;
  constructor(limit: number, windowUs: number, burst: number) {
    [this.#limit, this.#windowUs, this.#burst] = [BigInt(limit), BigInt(windowUs), BigInt(burst)];
  }
  take(cost: number, nowUs: number): bigint {
    const now = BigInt(nowUs) * this.#limit;
    const next = (this.#fullAt > now ? this.#fullAt : now) + BigInt(cost) * this.#windowUs;
    const over = next - now - this.#burst * this.#windowUs;
    if (over > 0n) return (over + this.#limit - 1n) / this.#limit;
    this.#fullAt = next;
    return 0n;
  }
}

test('agrees with unbounded rationals, for limits that divide nothing, over hours of any gaps', () => {
  const limits = fc.oneof(
    fc.integer({ min: 1, max: 1_000 }),
    fc.integer({ min: 1, max: 60_000_003 }),
    fc.constantFrom(7, 11, 999_983, 1_000_003),
  );
  fc.assert(
    fc.property(
      limits,
      fc.constantFrom(1_000_000, MINUTE_US, 3_600_000_000, 1_234_567),
      fc.array(fc.tuple(fc.nat(5_000_000_000), fc.integer({ min: 1, max: 50 })), { minLength: 1, maxLength: 100 }),
      (limit, windowUs, steps) => {
        const burst = Math.max(50, Math.min(limit, 1_000));
        const compiled = compileRate({ kind: 'rate', limit, windowUs, burst });
        if (!compiled.ok || compiled.value.stepUs !== 1) return;
        const groups = [groupOf(requests, 1, [compiled.value])];
        const own = book();
        const reference = new Reference(limit, windowUs, burst);
        let nowUs = 0;
        for (const [gap, cost] of steps) {
          nowUs += gap % (windowUs * 2);
          const answer = take(own, groups, [cost], nowUs);
          expect(BigInt(answer.waitUs)).toBe(reference.take(cost, nowUs));
        }
      },
    ),
  );
});

test('what cannot be exact to the microsecond is exact to the millisecond or second, and what cannot be at all is said', () => {
  expect(rateOf({ kind: 'rate', limit: 7, windowUs: MINUTE_US, burst: 7 }).stepUs).toBe(1);
  expect(rateOf({ kind: 'rate', limit: 60_000_000, windowUs: MINUTE_US, burst: 60_000_000 })).toMatchObject({
    stepUs: 1,
    ticksPerUnit: 1,
    ticksPerStep: 1,
  });
  const odd = rateOf({ kind: 'rate', limit: 1_234_567, windowUs: DAY_MS * 1000, burst: 1_234_567 });
  expect(odd.stepUs).toBe(1_000);
  const groups = [groupOf(requests, 1, [odd])];
  const own = book();
  expect(take(own, groups, [1_234_567], 500).refusedBy).toBe(-1);
  const { waitUs } = take(own, groups, [1], 700);
  expect(take(own, groups, [1], 700 + waitUs - 1).refusedBy).toBe(0);
  expect(take(own, groups, [1], 700 + waitUs).refusedBy).toBe(-1);
  const refused = compileRate({ kind: 'rate', limit: 999_999_999_989, windowUs: 366 * DAY_MS * 1000, burst: 999_999_999_989 });
  expect(refused.ok ? '' : refused.error).toMatch(/rounder limit/);
});

test('all hold at once: a refusal by one burns nothing in the others, whatever is asked', () => {
  const scopes = [0, 1, 2].map((index) => scopeOf(index, [ruleOf(`a${index}`), ruleOf(`b${index}`)]));
  const groups = scopes.map((scope) => groupOf(scope, 1, [perMinute(5 + scope.index), perMinute(9 - scope.index)]));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(9_000_000), fc.array(fc.nat(4), { minLength: 6, maxLength: 6 })), { maxLength: 60 }),
      (steps) => {
        const own = book();
        let nowUs = 0;
        for (const [gap, costs] of steps) {
          nowUs += gap;
          const before = peek(own, groups, nowUs);
          const answer = take(own, groups, costs, nowUs);
          const after = peek(own, groups, nowUs);
          const rates = groups.flatMap((group) => group.rates);
          if (answer.refusedBy === -1)
            expect(after).toEqual(before.map((ahead, at) => ahead + costs[at]! * rates[at]!.ticksPerUnit));
          else {
            expect(after).toEqual(before);
            expect(answer.waitUs).toBeGreaterThan(0);
            if (answer.waitUs < Infinity) {
              const waits = rates.map((rate, at) =>
                Math.ceil((before[at]! + costs[at]! * rate.ticksPerUnit - rate.burstTicks) / rate.ticksPerStep),
              );
              expect(answer.waitUs).toBe(Math.max(...waits));
              expect(answer.refusedBy).toBe(waits.indexOf(answer.waitUs));
            }
          }
        }
      },
    ),
  );
});

test('never more than burst + rate × time, in any span of any run', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 1, max: 30 }),
      fc.array(fc.nat(9_000_000), { minLength: 1, maxLength: 150 }),
      (limit, burst, gaps) => {
        const groups = [groupOf(requests, 1, [perMinute(limit, burst)])];
        const own = book();
        const taken: number[] = [];
        let nowUs = 0;
        for (const gap of gaps) {
          nowUs += gap;
          if (take(own, groups, [1], nowUs).refusedBy === -1) taken.push(nowUs);
        }
        for (let i = 0; i < taken.length; i++)
          for (let j = i; j < taken.length; j++)
            expect((j - i + 1 - burst) * MINUTE_US).toBeLessThanOrEqual((taken[j]! - taken[i]!) * limit);
      },
    ),
    { numRuns: 50 },
  );
});

test('settling is signed: what was reserved too much comes back, what was spent too much is owed, and debt has a bound', () => {
  const rate = perMinute(100);
  const groups = [groupOf(requests, 1, [rate])];
  const own = book();
  take(own, groups, [80], 0);
  settle(own, groups, [-50], 0);
  expect(unitsLeft(rate, peek(own, groups, 0)[0]!)).toBe(70);
  settle(own, groups, [120], 0);
  expect(unitsLeft(rate, peek(own, groups, 0)[0]!)).toBe(0);
  // 30 + 120 = 150 used of 100: 50 owed, and one more needs 51 back: 30.6 s.
  expect(take(own, groups, [1], 0).waitUs).toBe(30_600_000);
  settle(own, groups, [1e15], 0);
  expect(take(own, groups, [1], 0).waitUs).toBe(60_600_000);
  settle(own, groups, [-1e15], 0);
  expect(peek(own, groups, 0)).toEqual([0]);
});

test('a metered rule lets in while anything is left, and nobody while it is owed', () => {
  const scope = scopeOf(0, [ruleOf('otpm', { measure: 'output_tokens', isMetered: true })]);
  const groups = [groupOf(scope, 1, [perMinute(60)])];
  const own = book();
  expect(take(own, groups, [0], 0).refusedBy).toBe(-1);
  settle(own, groups, [60], 0);
  expect(take(own, groups, [0], 0)).toMatchObject({ refusedBy: 0, waitUs: 1_000_000 });
  expect(take(own, groups, [0], 1_000_000).refusedBy).toBe(-1);
});

test('a dry run refuses nothing, counts what it would have refused, and charges only what it would have let in', () => {
  const scope = scopeOf(0, [ruleOf('rpm'), ruleOf('tight', { isDryRun: true })]);
  const groups = [groupOf(scope, 1, [perMinute(100), perMinute(2)])];
  const own = book();
  for (let n = 0; n < 5; n++) expect(take(own, groups, [1, 1], 0).refusedBy).toBe(-1);
  expect(own.wouldHaveRefused.get('tight')).toBe(3);
  expect(take(own, groups, [1, 1], 30_000_000).refusedBy).toBe(-1);
  expect(own.wouldHaveRefused.get('tight')).toBe(3);
});

test('days and months begin anew at midnight UTC and on the first, whole', () => {
  const scope = scopeOf(0, [ruleOf('daily'), ruleOf('monthly')]);
  const groups = [groupOf(scope, 1, [rateOf({ kind: 'day', limit: 3 }), rateOf({ kind: 'month', limit: 5 })])];
  const own = book();
  const eve = Date.UTC(2026, 0, 30, 23, 59, 59, 999);
  expect(take(own, groups, [3, 3], 0, eve).refusedBy).toBe(-1);
  expect(take(own, groups, [1, 1], 0, eve)).toMatchObject({ refusedBy: 0, waitUs: 1_000 });
  expect(take(own, groups, [2, 2], 1, eve + 1).refusedBy).toBe(-1);
  expect(take(own, groups, [1, 1], 1, eve + 1)).toMatchObject({ refusedBy: 1, waitUs: DAY_MS * 1000 });
  expect(take(own, groups, [3, 5], 2, Date.UTC(2026, 1, 1)).refusedBy).toBe(-1);
  // A wall clock that steps back over the turn finds another period's count, and begins that one anew.
  expect(take(own, groups, [4, 1], 2, Date.UTC(2026, 1, 1))).toMatchObject({ refusedBy: 0, waitUs: Infinity });
});

test('places are held and given back, and a limit of none refuses for ever', () => {
  const scope = scopeOf(0, [ruleOf('concurrency', { measure: 'concurrency' })]);
  const groups = [groupOf(scope, 1, [rateOf({ kind: 'places', limit: 2 })])];
  const own = book();
  take(own, groups, [1], 0);
  take(own, groups, [1], 0);
  expect(take(own, groups, [1], 9e9)).toMatchObject({ refusedBy: 0, waitUs: 1_000_000 });
  settle(own, groups, [-1], 9e9);
  expect(take(own, groups, [1], 9e9).refusedBy).toBe(-1);
  settle(own, groups, [-7], 9e9);
  expect(peek(own, groups, 9e9)).toEqual([0]);
  const none = [groupOf(scope, 2, [rateOf({ kind: 'rate', limit: 0, windowUs: 1000, burst: 0 })])];
  expect(take(own, none, [1], 0)).toMatchObject({ refusedBy: 0, waitUs: Infinity });
});

test('a clock that steps back refills nothing, and locks nobody out for longer', () => {
  const groups = [groupOf(requests, 1, [perMinute(60)])];
  const own = book();
  take(own, groups, [60], 3_600_000_000);
  expect(take(own, groups, [1], 0).waitUs).toBe(1_000_000);
  expect(take(own, groups, [1], 3_601_000_000).refusedBy).toBe(-1);
});

test('an hour of silence refills a meter once, and a month of it breaks no arithmetic', () => {
  const rate = perMinute(999_983);
  const groups = [groupOf(requests, 1, [rate])];
  const own = book();
  take(own, groups, [999_983], 0);
  const laterUs = 31 * DAY_MS * 1000;
  expect(peek(own, groups, laterUs)).toEqual([0]);
  expect(take(own, groups, [999_983], laterUs).refusedBy).toBe(-1);
  expect(take(own, groups, [1], laterUs).refusedBy).toBe(0);
});

test('when a limit changes, the share of it that was used stays used', () => {
  const own = book();
  const subject = (rate: Rate): MeterGroup[] => [groupOf(requests, 1, [rate])];
  take(own, subject(perMinute(100)), [50], 0);
  const doubled = perMinute(200);
  expect(unitsLeft(doubled, peek(own, subject(doubled), 0)[0]!)).toBe(100);
  take(own, subject(doubled), [100], 0);
  expect(take(own, subject(perMinute(7)), [1], 0).refusedBy).toBe(0);
  take(own, subject(UNLIMITED), [1_000], 0);
  expect(take(own, subject(perMinute(7)), [7], 0).refusedBy).toBe(-1);
});

test('beyond the bound on subjects, strangers share one meter: none escapes the limit, and memory stays', () => {
  const own = createMeterBook({ subjectsMax: 1_001 });
  let admitted = 0;
  for (let subject = 0; subject < 5_000; subject++)
    if (take(own, [groupOf(requests, subject, [perMinute(2)])], [1], 0).refusedBy === -1) admitted++;
  expect(own.subjects).toBeLessThanOrEqual(1_001);
  expect(admitted).toBe(1_000 + 2);
  // A minute later all of them are forgotten as new ones come, and everybody is known again.
  own.sweep(10_000, 2 * MINUTE_US, 0);
  expect(own.subjects).toBe(0);
});

test('forgetting changes no decision: a book that sweeps all the time answers as one that never does', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(20_000_000), fc.nat(12), fc.integer({ min: 1, max: 3 })), { maxLength: 200 }),
      (steps) => {
        const [swept, kept] = [book(), book()];
        let nowUs = 0;
        for (const [gap, subject, cost] of steps) {
          nowUs += gap;
          const groups = [groupOf(requests, subject, [perMinute(6)])];
          swept.sweep(3, nowUs, 0);
          expect(take(swept, groups, [cost], nowUs)).toEqual(take(kept, groups, [cost], nowUs));
        }
      },
    ),
    { numRuns: 50 },
  );
});

test('a refusal names its limit and subject', () => {
  const scope = scopeOf(0, [ruleOf('rpm'), ruleOf('itpm', { measure: 'input_tokens' })]);
  const ask = { groups: [groupOf(scope, 4, [perMinute(10), perMinute(5)])], costs: Float64Array.from([1, 6]) };
  const slot = newDecisionSlot(2);
  book().take(ask, 0, 0, slot);
  expect(slot.waitUs).toBe(Infinity);
  expect(refusingMeter(ask, slot)).toMatchObject({ rule: { id: 'itpm' }, group: { subject: 's4' } });
});
