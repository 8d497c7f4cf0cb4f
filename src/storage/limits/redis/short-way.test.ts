import fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { usUntilFull, type MeterGroup, type Rate, type Rule } from '#core/limits';
import {
  createTestClock,
  groupOf,
  perMinute,
  rateOf,
  realRandom,
  ruleOf,
  scopeOf,
  withoutTimers,
} from '../limits-kit.fixture.ts';
import type { SharedOperation, SharedReply } from '../shared-limits.ts';
import { openRedisLimits, type RedisLimits } from './open-redis-limits.ts';
import { groupKey } from './pack.ts';

const url = process.env.PLIMSOLL_TEST_REDIS;

describe.skipIf(url === undefined)('a take of nothing but rates goes a short way through the script', () => {
  const clock = createTestClock();
  const server = new Redis(url ?? '', { lazyConnect: true });
  let limits: RedisLimits;
  let made = 0;
  beforeAll(async () => {
    const opened = await openRedisLimits({
      url: url ?? '',
      clock: withoutTimers(clock),
      random: realRandom,
      serverTimeUs: clock.wallUs,
    });
    if (!opened.ok) throw new Error(opened.error.message);
    limits = opened.value;
  });
  afterAll(async () => {
    server.disconnect();
    await limits.close();
  });

  const send = (
    what: SharedOperation['what'],
    groups: readonly MeterGroup[],
    units: readonly number[],
    more: Partial<SharedOperation> = {},
  ): Promise<SharedReply> =>
    limits.send({
      what,
      groups,
      units: Float64Array.from(units),
      wishes: null,
      gateway: 'gateway',
      gateways: 1,
      leaseMs: 1_000,
      placesLeaseMs: 1_000,
      id: `id-${(made += 1)}`,
      step: 1,
      ageUs: 0,
      ...more,
    });

  const RATES = [
    perMinute(7),
    perMinute(60, 3),
    perMinute(999_983),
    rateOf({ kind: 'rate', limit: 5, windowUs: 1_234_567, burst: 9 }),
    rateOf({ kind: 'rate', limit: 999_983, windowUs: 30 * 86_400_000_000, burst: 999_983 }),
  ] as const;
  const rate = fc.constantFrom(...RATES);
  const rule = fc.constantFrom<Partial<Rule>>({}, { isMetered: true }, { isDryRun: true }, { isMetered: true });
  const units = (min: number, max: number): fc.Arbitrary<number[]> =>
    fc.array(fc.oneof(fc.constant(Math.max(0, min)), fc.integer({ min, max })), { minLength: 3, maxLength: 3 });
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ what: fc.constant('take' as const), units: units(0, 6) }) },
    { weight: 1, arbitrary: fc.record({ what: fc.constant('settle' as const), units: units(-6, 9) }) },
    { weight: 1, arbitrary: fc.record({ what: fc.constant('share' as const), units: units(1, 3) }) },
    { weight: 1, arbitrary: fc.record({ what: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 90_000 }) }) },
    { weight: 1, arbitrary: fc.record({ what: fc.constant('step' as const), ms: fc.integer({ min: -5_000, max: 5_000 }) }) },
    { weight: 1, arbitrary: fc.record({ what: fc.constant('change' as const), rates: fc.tuple(rate, rate, rate) }) },
  );

  test('and says and keeps the same as the long one, over settlements, shares, clock steps and changed limits', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(rate, rate, rate),
        fc.tuple(rule, rule, rule),
        fc.array(step, { minLength: 1, maxLength: 30 }),
        async (first, kinds, steps) => {
          const [a, b] = [
            scopeOf(
              1,
              kinds.slice(0, 2).map((more, at) => ruleOf(`r${at}`, more)),
            ),
            scopeOf(2, [ruleOf('r2', kinds[2])]),
          ];
          const name = `s${(made += 1)}`;
          let rates: readonly Rate[] = first;
          const groups = (way: string): readonly MeterGroup[] => [
            groupOf(a, `${way}-${name}`, rates.slice(0, 2)),
            groupOf(b, `${way}-${name}`, rates.slice(2)),
          ];
          for (const one of steps) {
            if (one.what === 'wait') clock.advance(one.ms * 1_000);
            else if (one.what === 'step') clock.stepWall(one.ms * 1_000);
            else if (one.what === 'change') rates = one.rates;
            else {
              const what = one.what === 'settle' ? 'settle' : 'take';
              const wishes = one.what === 'share' ? Float64Array.from(one.units) : null;
              const short = await send(what, groups('short'), one.units, { wishes });
              // With wishes, though for nothing, the long way is taken.
              const long = await send(what, groups('long'), one.units, { wishes: wishes ?? new Float64Array(3) });
              expect(short).toEqual(long);
            }
          }
          expect(await send('peek', groups('short'), [0, 0, 0])).toEqual(await send('peek', groups('long'), [0, 0, 0]));
        },
      ),
      { numRuns: 40 },
    );
  });

  test('and a metered rule with nothing left refuses there too, though nothing is asked of it yet', async () => {
    const groups = [groupOf(scopeOf(4, [ruleOf('metered', { isMetered: true })]), `s${(made += 1)}`, [perMinute(3)])];
    expect(await send('take', groups, [3])).toMatchObject({ refusedBy: -1 });
    expect(await send('take', groups, [0])).toMatchObject({ refusedBy: 0, waitUs: 20_000_000 });
  });

  test('and the store keeps a subject for as long as its meters mean anything, however they fill up', async () => {
    const rates = [perMinute(60, 6_000), perMinute(600)];
    const groups = [groupOf(scopeOf(3, [ruleOf('slow'), ruleOf('fast')]), `s${(made += 1)}`, rates)];
    const key = groupKey(groups[0]!);
    for (const cost of [1, 1, 3, 7, 1, 12, 40, 1, 90, 200, 1]) {
      const reply = await send('take', groups, [cost, 1]);
      const aheads = reply.kind === 'done' ? [...reply.ahead] : [];
      const lifeMs = Math.max(...rates.map((one, at) => usUntilFull(one, aheads[at] ?? Infinity))) / 1_000;
      const keptMs = await server.pttl(key);
      expect(keptMs).toBeGreaterThanOrEqual(lifeMs);
      expect(keptMs).toBeLessThanOrEqual(lifeMs + 11_001);
      clock.advance(100_000);
    }
  });
});
