import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { unitsLeft, UNLIMITED, type MeterGroup, type Rate } from '#core/limits';
import type { LimitAnswer, LimitStore } from '../limits-port.ts';
import { createTestClock, groupOf, perMinute, places, rateOf, ruleOf, scopeOf, type TestClock } from './limits-kit.fixture.ts';
import { createReferenceMeters } from './reference-meters.fixture.ts';

/**
 * What every limit store must do, on a clock that the suite moves. Rules are not leased here: each decision is the authority's.
 * `open` makes a store that shows no subject of another; it may take its time and milliseconds from `clock`.
 */
export function describeLimitStore(name: string, open: (clock: TestClock) => Promise<LimitStore>): void {
  describe(name, () => {
    const clock = createTestClock();
    let store: LimitStore;
    let made = 0;
    beforeAll(async () => {
      store = await open(clock);
    });
    afterAll(() => {
      return store.close();
    });

    const subject = (): string => `s${(made += 1)}`;
    const one = (rates: readonly Rate[], rules = rates.map((_, at) => ruleOf(`rule-${at}`))): MeterGroup[] => [
      groupOf(scopeOf(100 + (made += 1), rules), subject(), rates),
    ];
    const take = async (groups: readonly MeterGroup[], costs: readonly number[], id = `r${(made += 1)}`): Promise<LimitAnswer> =>
      store.take({ id, groups, costs: Float64Array.from(costs) });
    const settle = async (
      id: string,
      groups: readonly MeterGroup[],
      step: number,
      deltas: readonly number[],
      isLast = false,
    ): Promise<LimitAnswer> => store.settle({ id, groups, step, deltas: Float64Array.from(deltas), isLast });
    const left = async (groups: readonly MeterGroup[], place = 0): Promise<number> =>
      unitsLeft(groups.flatMap(({ rates }) => rates)[place] as Rate, (await store.peek(groups)).ahead[place] as number);

    test('a burst passes at once, the next waits exactly as long as it is told, and a microsecond less is not enough', async () => {
      for (const [limit, windowUs, burst] of [
        [7, 60_000_000, 7],
        [1, 1_000_000, 1],
        [60_000_000, 60_000_000, 4],
        [3, 1_000, 2],
        [11, 1_234_567, 5],
      ] as const) {
        const groups = one([rateOf({ kind: 'rate', limit, windowUs, burst })]);
        for (let unit = 0; unit < burst; unit++) expect((await take(groups, [1])).refusedBy).toBe(-1);
        const refused = await take(groups, [1]);
        expect(refused).toMatchObject({ refusedBy: 0, by: 'exact' });
        if (refused.waitUs > 1) {
          clock.advance(refused.waitUs - 1);
          expect(await take(groups, [1])).toMatchObject({ refusedBy: 0, waitUs: 1 });
        }
        clock.advance(1);
        expect((await take(groups, [1])).refusedBy).toBe(-1);
        expect((await take(groups, [1])).refusedBy).toBe(0);
      }
    });

    test('a long window on a coarser clock keeps its word as well', async () => {
      const rate = rateOf({ kind: 'rate', limit: 999_983, windowUs: 30 * 86_400_000_000, burst: 999_983 });
      expect(rate.stepUs).toBeGreaterThan(1);
      const groups = one([rate]);
      clock.advance(137);
      expect((await take(groups, [999_983])).refusedBy).toBe(-1);
      const { waitUs } = await take(groups, [1]);
      clock.advance(waitUs - 1);
      expect(await take(groups, [1])).toMatchObject({ refusedBy: 0, waitUs: 1 });
      clock.advance(1);
      expect((await take(groups, [1])).refusedBy).toBe(-1);
    });

    test('a refusal by one meter takes nothing of any other, and names the longest wait', async () => {
      const scope = scopeOf(
        100 + (made += 1),
        ['a', 'b'].map((id) => ruleOf(id)),
      );
      const groups = [
        groupOf(scope, subject(), [perMinute(100), perMinute(2)]),
        groupOf(scopeOf(100 + (made += 1), [ruleOf('c')]), subject(), [perMinute(1)]),
      ];
      await take(groups, [1, 1, 1]);
      expect(await take(groups, [1, 1, 1])).toMatchObject({ refusedBy: 2, waitUs: 60_000_000 });
      expect([await left(groups, 0), await left(groups, 1), await left(groups, 2)]).toEqual([99, 1, 0]);
      expect(await take(groups, [1, 2, 0])).toMatchObject({ refusedBy: 1, waitUs: 30_000_000 });
      expect((await take(groups, [1, 1, 0])).refusedBy).toBe(-1);
    });

    test('more than a burst can never pass, and says so', async () => {
      expect(await take(one([perMinute(5)]), [6])).toMatchObject({ refusedBy: 0, waitUs: Infinity });
      expect(await take(one([places(5)]), [6])).toMatchObject({ refusedBy: 0, waitUs: Infinity });
      expect(await take(one([rateOf({ kind: 'rate', limit: 0, windowUs: 1_000_000, burst: 0 })]), [1])).toMatchObject({
        waitUs: Infinity,
      });
    });

    test('a settlement charges or gives back, by its sign, and once for each step', async () => {
      const groups = one([perMinute(100)]);
      await take(groups, [60], 'signed');
      await settle('signed', groups, 1, [-20]);
      await settle('signed', groups, 1, [-20]);
      expect(await left(groups)).toBe(60);
      await settle('signed', groups, 3, [30]);
      await settle('signed', groups, 2, [30]);
      expect(await left(groups)).toBe(30);
      await settle('signed', groups, 4, [-10], true);
      await settle('signed', groups, 4, [-10], true);
      await settle('signed', groups, 5, [-10], true);
      expect(await left(groups)).toBe(40);
    });

    test('the same ask twice takes once while it is held', async () => {
      const groups = one([perMinute(100), places(3)]);
      await Promise.all([take(groups, [10, 1], 'twice'), take(groups, [10, 1], 'twice')]);
      expect((await take(groups, [10, 1], 'twice')).refusedBy).toBe(-1);
      expect([await left(groups, 0), await left(groups, 1)]).toEqual([90, 2]);
    });

    test('a debt is paid by time, and never more than the burst and a window', async () => {
      const groups = one([perMinute(60)]);
      await take(groups, [60], 'debt');
      await settle('debt', groups, 1, [1_000_000]);
      // 60 of burst and 60 of debt, so 61 s until one is left.
      expect(await take(groups, [1])).toMatchObject({ refusedBy: 0, waitUs: 61_000_000 });
      clock.advance(61_000_000);
      expect((await take(groups, [1])).refusedBy).toBe(-1);
    });

    test('what is given back beyond what was used is not kept', async () => {
      const groups = one([perMinute(60)]);
      await take(groups, [5], 'back');
      clock.advance(60_000_000);
      await settle('back', groups, 1, [-5]);
      expect(await left(groups)).toBe(60);
      expect((await take(groups, [61])).refusedBy).toBe(0);
    });

    test('places are held until the last settlement, whatever time passes, and then free at once', async () => {
      const groups = one([places(2)]);
      await take(groups, [1], 'first');
      await take(groups, [1], 'second');
      expect(await take(groups, [1])).toMatchObject({ refusedBy: 0, waitUs: 1_000_000 });
      await settle('first', groups, 1, [0]);
      expect((await take(groups, [1])).refusedBy).toBe(0);
      await settle('first', groups, 2, [0], true);
      await settle('first', groups, 2, [0], true);
      expect((await take(groups, [1], 'third')).refusedBy).toBe(-1);
      expect((await take(groups, [1])).refusedBy).toBe(0);
    });

    test('a day counts to its limit and begins anew at midnight UTC, a month on its first', async () => {
      const dayUs = 86_400_000_000;
      // From a tenth, on a whole ms: the wall clock of a store in memory has no finer one.
      clock.advance(1_000 - (clock.wallUs() % 1_000));
      while (new Date(clock.wallMs()).getUTCDate() !== 10) clock.advance(dayUs);
      const untilMidnightUs = (): number => dayUs - (clock.wallUs() % dayUs);
      const groups = one([rateOf({ kind: 'day', limit: 3 }), rateOf({ kind: 'month', limit: 4 })]);
      await take(groups, [3, 3]);
      const refused = await take(groups, [1, 1]);
      expect(refused).toMatchObject({ refusedBy: 0, waitUs: untilMidnightUs() });
      clock.advance(refused.waitUs - 1_000);
      expect((await take(groups, [1, 1])).refusedBy).toBe(0);
      clock.advance(1_000);
      expect((await take(groups, [1, 1])).refusedBy).toBe(-1);
      const untilFirst = await take(groups, [0, 1]);
      expect(untilFirst.refusedBy).toBe(1);
      expect(new Date((clock.wallUs() + untilFirst.waitUs) / 1000).toISOString()).toMatch(/-01T00:00:00.000Z$/);
      clock.advance(untilFirst.waitUs);
      expect((await take(groups, [3, 4])).refusedBy).toBe(-1);
    });

    test('a rule in dry run refuses nothing, counts what it would have refused, and charges it nothing', async () => {
      const rules = [ruleOf('dry', { isDryRun: true }), ruleOf('real')];
      const groups = one([perMinute(1), perMinute(100)], rules);
      const before = store.status().wouldHaveRefused.get('dry') ?? 0;
      for (let unit = 0; unit < 3; unit++) expect((await take(groups, [1, 1])).refusedBy).toBe(-1);
      expect(store.status().wouldHaveRefused.get('dry')).toBe(before + 2);
      expect([await left(groups, 0), await left(groups, 1)]).toEqual([0, 97]);
      clock.advance(60_000_000);
      expect(await left(groups, 0)).toBe(1);
      const real = one([perMinute(1), perMinute(1)], rules);
      await take(real, [1, 1]);
      expect((await take(real, [1, 1])).refusedBy).toBe(1);
      // Refused by another anyway: not counted.
      expect(store.status().wouldHaveRefused.get('dry')).toBe(before + 2);
    });

    test('a metered rule admits while one unit is left, and is charged as it goes, into debt', async () => {
      const groups = one([perMinute(100)], [ruleOf('output', { isMetered: true })]);
      expect((await take(groups, [0], 'stream')).refusedBy).toBe(-1);
      expect(await left(groups)).toBe(100);
      await settle('stream', groups, 1, [99]);
      expect((await take(groups, [0], 'late')).refusedBy).toBe(-1);
      await settle('stream', groups, 2, [64]);
      // 63 in debt, and one unit is wanted: 64 units come in 38.4 s.
      expect(await take(groups, [0])).toMatchObject({ refusedBy: 0, waitUs: 38_400_000 });
    });

    test('no limit is no limit', async () => {
      const groups = one([UNLIMITED, perMinute(10)]);
      expect((await take(groups, [1e12, 10])).refusedBy).toBe(-1);
      expect((await take(groups, [1e12, 0])).refusedBy).toBe(-1);
    });

    test('to look takes nothing, and finds nothing of a subject not seen before', async () => {
      const groups = one([perMinute(10), places(3)]);
      for (let time = 0; time < 20; time++) expect([...(await store.peek(groups)).ahead]).toEqual([0, 0]);
      await take(groups, [4, 1]);
      for (let time = 0; time < 20; time++) await store.peek(groups);
      expect([await left(groups, 0), await left(groups, 1)]).toEqual([6, 2]);
    });

    test('a changed limit keeps the share of the burst that was used', async () => {
      const scope = scopeOf(100 + (made += 1), [ruleOf('changing')]);
      const name = subject();
      const under = (rate: Rate): MeterGroup[] => [groupOf(scope, name, [rate])];
      await take(under(perMinute(100)), [50]);
      expect(await left(under(perMinute(1_000)))).toBe(500);
      expect((await take(under(perMinute(1_000)), [501])).refusedBy).toBe(0);
      expect((await take(under(perMinute(7)), [3])).refusedBy).toBe(-1);
      expect(await left(under(perMinute(7)))).toBe(0);
    });

    test('agrees with numbers without end, over any asks, settlements and gaps, several groups at a time', async () => {
      const rates = fc.constantFrom(
        perMinute(7),
        perMinute(999_983),
        perMinute(60, 3),
        rateOf({ kind: 'rate', limit: 5, windowUs: 1_234_567, burst: 9 }),
        rateOf({ kind: 'day', limit: 40 }),
        rateOf({ kind: 'month', limit: 60 }),
        places(4),
      );
      const rules = fc.constantFrom({}, {}, {}, { isDryRun: true }, { isMetered: true });
      const steps = fc.array(
        fc.record({
          // A whole ms: the wall clock of a store in memory has no finer one.
          gapMs: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 90_000 }), fc.constant(3_600_000)),
          costs: fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 4, maxLength: 4 }),
          settles: fc.option(fc.array(fc.integer({ min: -6, max: 6 }), { minLength: 4, maxLength: 4 }), { nil: null }),
        }),
        { minLength: 1, maxLength: 25 },
      );
      await fc.assert(
        fc.asyncProperty(
          fc.array(rates, { minLength: 4, maxLength: 4 }),
          fc.array(rules, { minLength: 4, maxLength: 4 }),
          steps,
          async (four, kinds, all) => {
            // Dry places and metered places make no sense; the planner makes none.
            const fourRules = kinds.map((more, at) => ruleOf(`rule-${at}`, four[at]?.kind === 4 ? {} : more));
            const groups = [...one(four.slice(0, 1), fourRules.slice(0, 1)), ...one(four.slice(1), fourRules.slice(1))];
            clock.advance(1_000 - (clock.nowUs() % 1_000));
            const reference = createReferenceMeters();
            for (const { gapMs, costs, settles } of all) {
              clock.advance(gapMs * 1_000);
              const id = `p${(made += 1)}`;
              const expected = reference.take(groups, costs, clock.wallUs());
              const answer = await take(groups, costs, id);
              expect(answer.refusedBy).toBe(expected.refusedBy);
              expect(answer.waitUs).toBe(expected.waitUs ?? 1_000_000);
              if (expected.refusedBy !== -1 || settles === null) continue;
              const deltas = settles.map((delta, at) => (four[at]?.kind === 4 ? 0 : delta));
              await settle(id, groups, 1, deltas, true);
              reference.settle(
                groups,
                deltas.map((delta, at) => (four[at]?.kind === 4 ? -(costs[at] as number) : delta)),
                clock.wallUs(),
              );
            }
          },
        ),
        { numRuns: 40 },
      );
    });
  });
}
