import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Rate } from '#core/limits';
import type { LimitStore } from '../../limits-port.ts';
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
import { createReferenceMeters } from '../reference-meters.fixture.ts';
import { openRedisLimits } from '../redis/open-redis-limits.ts';
import { createFleetLimits } from './fleet-limits.ts';

const url = process.env.PLIMSOLL_TEST_REDIS;
const SKIPPED = ' (skipped: PLIMSOLL_TEST_REDIS names no server; scripts/with-redis.sh starts one)';
const LEASE_MS = 1_000;

let made = 0;
const id = (): string => `r${(made += 1)}`;
const subject = (): string => `s${(made += 1)}-${process.pid}-${Math.random()}`;

/** Gateways on one store, and on one clock that the test moves. */
async function fleetOf(
  count: number,
): Promise<{ clock: ReturnType<typeof createTestClock>; gateways: LimitStore[]; end: () => Promise<void> }> {
  const clock = createTestClock(Date.UTC(2026, 5, 15, 12) * 1000 + made * 1_000);
  const still = withoutTimers(clock);
  const gateways = await Promise.all(
    Array.from({ length: count }, async () => {
      const opened = await openRedisLimits({ url: url ?? '', clock: still, random: realRandom, serverTimeUs: clock.wallUs });
      if (!opened.ok) throw new Error(opened.error.message);
      return createFleetLimits({ shared: opened.value, clock: still, random: realRandom, leaseMs: LEASE_MS });
    }),
  );
  return { clock, gateways, end: async () => void (await Promise.all(gateways.map((gateway) => gateway.close()))) };
}

describe.skipIf(url === undefined)(`shares taken in advance${url === undefined ? SKIPPED : ''}`, () => {
  test('however shares are taken and spent, by any gateway and as late as may be, what passes conforms to the whole limit', async () => {
    const { clock, gateways, end } = await fleetOf(3);
    const rates = fc.constantFrom<Rate>(
      perMinute(600),
      perMinute(600, 40),
      rateOf({ kind: 'rate', limit: 50, windowUs: 5_000_000, burst: 50 }),
      rateOf({ kind: 'rate', limit: 7_001, windowUs: 10_000_000, burst: 3_000 }),
    );
    const asks = fc.array(
      fc.record({
        gateway: fc.nat(2),
        times: fc.integer({ min: 1, max: 12 }),
        cost: fc.integer({ min: 1, max: 3 }),
        gapUs: fc.oneof(fc.nat(50_000), fc.nat(1_200_000), fc.constantFrom(LEASE_MS * 1000 - 1, LEASE_MS * 1000, 8_000_000)),
      }),
      { minLength: 5, maxLength: 40 },
    );
    let leased = 0;
    await fc.assert(
      fc.asyncProperty(rates, asks, async (rate, all) => {
        const groups = [groupOf(scopeOf(7, [ruleOf('leased', { isLeased: true })]), subject(), [rate])];
        const reference = createReferenceMeters();
        for (const { gateway, times, cost, gapUs } of all) {
          clock.advance(gapUs);
          for (let time = 0; time < times; time++) {
            const answer = await gateways[gateway]!.take({ id: id(), groups, costs: Float64Array.of(cost) });
            if (answer.refusedBy !== -1) {
              expect(answer.waitUs).toBeGreaterThan(0);
              break;
            }
            if (answer.by === 'leased') leased++;
            // Counted when it passed here, not when the store was charged for it.
            expect(reference.take(groups, [cost], clock.wallUs()).refusedBy).toBe(-1);
          }
        }
      }),
      { numRuns: 40 },
    );
    expect(leased).toBeGreaterThan(100);
    await end();
  });

  test('a share spent at its last moment, when others have used up what was refilled meanwhile, is not one too many', async () => {
    const { clock, gateways, end } = await fleetOf(2);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 4, max: 30 }),
        fc.integer({ min: 1, max: LEASE_MS * 1000 - 1 }),
        fc.nat(LEASE_MS * 2000),
        fc.constantFrom(600, 1_200),
        fc.constantFrom(1, 33, 40),
        async (asks, waitUs, laterUs, limit, cost) => {
          const groups = [groupOf(scopeOf(7, [ruleOf('leased', { isLeased: true })]), subject(), [perMinute(limit, 40)])];
          const reference = createReferenceMeters();
          const use = async (gateway: number, timesMax: number, units = 1): Promise<void> => {
            for (let time = 0; time < timesMax; time++) {
              const answer = await gateways[gateway]!.take({ id: id(), groups, costs: Float64Array.of(units) });
              if (answer.refusedBy !== -1) return;
              expect(reference.take(groups, [units], clock.wallUs()).refusedBy).toBe(-1);
            }
          };
          await use(0, asks);
          clock.advance(waitUs);
          // All at once, too, so that no share of theirs holds the rest of them back.
          await use(1, 1, cost);
          await use(1, 100);
          await use(0, 100);
          // And when the shares are gone, but not what was spent of them.
          clock.advance(laterUs);
          await use(1, 100);
          await use(0, 100);
        },
      ),
      { numRuns: 60 },
    );
    await end();
  });

  test('a share is not spent a microsecond after its lease', async () => {
    const { clock, gateways, end } = await fleetOf(1);
    const groups = [groupOf(scopeOf(7, [ruleOf('leased', { isLeased: true })]), subject(), [perMinute(60_000)])];
    const take = async () => gateways[0]!.take({ id: id(), groups, costs: Float64Array.of(1) });
    const by: string[] = [];
    for (let time = 0; time < 10; time++) by.push((await take()).by);
    // Cold at first; the fourth ask brings a share with it.
    expect(by.slice(0, 5)).toEqual(['exact', 'exact', 'exact', 'exact', 'leased']);
    expect(by.at(-1)).toBe('leased');
    clock.advance(LEASE_MS * 1000 - 1);
    expect((await take()).by).toBe('leased');
    clock.advance(1);
    expect((await take()).by).toBe('exact');
    await end();
  });

  test('the last stretch goes unit by unit: two gateways can use a limit up between them', async () => {
    const { gateways, end } = await fleetOf(2);
    const groups = [groupOf(scopeOf(7, [ruleOf('day', { isLeased: true })]), subject(), [rateOf({ kind: 'day', limit: 100 })])];
    let passed = 0;
    for (let round = 0; round < 200; round++) {
      const answer = await gateways[round % 2]!.take({ id: id(), groups, costs: Float64Array.of(1) });
      if (answer.refusedBy === -1) passed++;
    }
    expect(passed).toBe(100);
    await end();
  });
});

describe.skipIf(url === undefined)(`a server clock that steps${url === undefined ? SKIPPED : ''}`, () => {
  const steps = fc.array(
    fc.record({
      stepUs: fc.oneof(fc.integer({ min: -7_200_000_000, max: 0 }), fc.constant(0)),
      gapUs: fc.nat(3_000_000),
      cost: fc.integer({ min: 1, max: 4 }),
    }),
    { minLength: 2, maxLength: 30 },
  );
  test('back, refills nothing and locks nobody out for longer than the limit would', async () => {
    const { clock, gateways, end } = await fleetOf(1);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(perMinute(60, 5), rateOf({ kind: 'rate', limit: 60, windowUs: 6e7, burst: 9 })),
        steps,
        async (rate, all) => {
          const groups = [groupOf(scopeOf(8, [ruleOf('stepped')]), subject(), [rate])];
          const reference = createReferenceMeters();
          for (const { stepUs, gapUs, cost } of all) {
            clock.stepWall(stepUs);
            clock.advance(gapUs);
            const ask = async () => gateways[0]!.take({ id: id(), groups, costs: Float64Array.of(cost) });
            const answer = await ask();
            // Judged by a clock that never steps.
            if (answer.refusedBy === -1) expect(reference.take(groups, [cost], clock.nowUs()).refusedBy).toBe(-1);
            else {
              expect(answer.waitUs).toBeLessThanOrEqual(cost * 1_000_000);
              clock.advance(answer.waitUs);
              expect((await ask()).refusedBy).toBe(-1);
              expect(reference.take(groups, [cost], clock.nowUs()).refusedBy).toBe(-1);
            }
          }
        },
      ),
      { numRuns: 30 },
    );
    await end();
  });

  test('forward, gives at most a burst; a day that was left and come back to goes on counting', async () => {
    const { clock, gateways, end } = await fleetOf(1);
    const rates = [perMinute(60, 5), rateOf({ kind: 'day', limit: 5 })];
    const groups = [
      groupOf(
        scopeOf(
          9,
          ['rpm', 'rpd'].map((id) => ruleOf(id)),
        ),
        subject(),
        rates,
      ),
    ];
    const takeAll = async (): Promise<number> => {
      for (let passed = 0; ; passed++)
        if ((await gateways[0]!.take({ id: id(), groups, costs: Float64Array.of(1, 1) })).refusedBy !== -1) return passed;
    };
    expect(await takeAll()).toBe(5);
    const leapUs = 40 * 86_400_000_000;
    clock.stepWall(leapUs);
    // For so long a refusal is repeated without asking.
    clock.advance(100_000);
    expect(await takeAll()).toBe(5);
    clock.stepWall(-leapUs);
    clock.advance(100_000);
    expect(await takeAll()).toBe(0);
    // Midnight comes as it would have, and back over it by a second nothing is new.
    clock.advance(12 * 3_600_000_000);
    expect(await takeAll()).toBe(5);
    clock.stepWall(-1_000_000);
    clock.advance(500_000);
    expect(await takeAll()).toBe(0);
    await end();
  });
});
