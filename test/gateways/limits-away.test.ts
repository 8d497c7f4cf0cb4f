// Real processes on a real PostgreSQL and a Redis of the test's own, which it stops: each step takes what it takes.
import { expect, onTestFinished, test } from 'vitest';
import { REDIS_SERVER, SKIPPED, startRedis } from '../fleet/kit/redis-server.ts';
import * as answers from '../gateway/kit/answers.ts';
import { eventually } from './kit/eventually.ts';
import { because, isPossible, startFleet } from './kit/fleet.ts';
import type { GatewayProcess } from './kit/gateway-process.ts';

/** What a request waits for a store that is frozen, once; docs/limits.md. */
const BUDGET_MS = 5;
// A machine so busy that an answer takes longer lets the store seem away for a moment: what must be so is waited for.
/** What a busy machine of two cores adds to any single request. */
const NOISE_MS = 250;
const BACK_WITHIN_MS = 6_000;

test.skipIf(!isPossible || REDIS_SERVER === null)(
  `a store of limits that freezes costs its budget once: requests go on, money does not, and when it goes on all is exact again${because || SKIPPED}`,
  { timeout: 60_000 },
  async ({ annotate }) => {
    const redis = await startRedis();
    const fleet = await startFleet({
      size: 2,
      redis: redis.url,
      limits: [
        'model_classes: [ { id: counted, models: [ harbor-2 ] } ]',
        'rules:',
        // One by one, so that nothing lies about in shares: all twenty can be used, and are seen to be.
        '  - { id: exact, per: [key, model_class], model_classes: [counted], of: requests, limit: 20, window: month, leased: false }',
        '  - { id: opened, per: [key], of: requests, limit: 1000000, window: 1h, when_away: open }',
      ],
      script: (exchange) => exchange.respond(200, answers.messagesAnswer('Seven feet.')),
    });
    onTestFinished(fleet.close);
    const [a, b] = fleet.gateways as [GatewayProcess, GatewayProcess];
    const open = await fleet.newKey();
    const part = await fleet.newKey({ limits: { rpm: { limit: 600 } } });
    const money = await fleet.newKey({ limits: { 'key-spend-month': { limit: 1_000_000_000 } } });
    const exact = await fleet.newKey();

    let exactPassed = 0;
    const askExactly = async (): Promise<number> => {
      const statuses = await Promise.all(
        [a, b, a, b].map(async (gateway) => (await gateway.call(exact.secret, { model: 'harbor-2' })).status),
      );
      for (const status of statuses) expect([200, 429]).toContain(status);
      const passed = statuses.filter((status) => status === 200).length;
      exactPassed += passed;
      return passed;
    };
    /** Latencies of requests one after the other, by turns at each gateway, ms in order of size. */
    const timesOf = async (count: number): Promise<number[]> => {
      const times: number[] = [];
      for (let n = 0; n < count; n++) {
        const startMs = performance.now();
        expect((await (n % 2 === 0 ? a : b).call(open.secret)).status).toBe(200);
        times.push(performance.now() - startMs);
      }
      return times.toSorted((one, other) => one - other);
    };
    const middle = (times: readonly number[]): number => times[Math.floor(times.length / 2)] ?? Number.NaN;
    const most = (times: readonly number[]): number => times.at(-1) ?? Number.NaN;

    await timesOf(40);
    const healthy = await timesOf(100);
    await askExactly();
    await askExactly();
    await eventually(async () => (await a.call(money.secret)).status === 200, 'money is spent while it is counted', 5_000);
    for (const gateway of [a, b])
      await eventually(async () => (await gateway.metric('plimsoll_limits_away')) === 0, 'it says that limits are there', 5_000);

    redis.signal('SIGSTOP');
    const frozenAtMs = performance.now();
    const frozen = await timesOf(100);
    expect(most(frozen)).toBeLessThan(most(healthy) + BUDGET_MS + NOISE_MS);
    expect(middle(frozen)).toBeLessThan(middle(healthy) + BUDGET_MS);
    for (const gateway of [a, b])
      await eventually(async () => (await gateway.metric('plimsoll_limits_away')) === 1, 'it says that limits are away', 1_000);
    const refused = await b.call(money.secret);
    expect([refused.status, refused.headers['retry-after'], refused.headers['x-should-retry']]).toEqual([503, '2', 'true']);
    expect(refused.body.toString()).toContain('key-spend-month does not let anything pass unseen');
    await askExactly();
    // Each begins with nothing and passes four fifths of half the rate: four a second.
    let partPassed = 0;
    const share = async (gateway: GatewayProcess): Promise<void> => {
      while (partPassed < 8 && performance.now() - frozenAtMs < 10_000)
        if ((await gateway.call(part.secret)).status === 200) partPassed++;
    };
    await Promise.all([share(a), share(b)]);
    const awayMs = performance.now() - frozenAtMs;
    expect(partPassed).toBeGreaterThanOrEqual(8);
    expect(partPassed).toBeLessThanOrEqual((awayMs / 1_000) * 8 + 2);

    redis.signal('SIGCONT');
    const isBack = async (): Promise<boolean> =>
      (await Promise.all([a, b].map((gateway) => gateway.metric('plimsoll_limits_away')))).every((away) => away === 0);
    const backMs = await eventually(isBack, 'limits are exact again', BACK_WITHIN_MS);
    await eventually(async () => (await b.call(money.secret)).status === 200, 'money is spent again', 5_000);
    const isUsedUp = async (): Promise<boolean> => {
      await askExactly();
      return exactPassed >= 20;
    };
    await eventually(isUsedUp, 'all of it is used', 10_000);
    for (let n = 0; n < 10; n++) expect(await askExactly()).toBe(0);
    expect(exactPassed).toBe(20);
    for (const gateway of [a, b]) expect(await gateway.metric('plimsoll_limits_settlements_dropped')).toBe(0);
    await annotate(
      `healthy: median ${middle(healthy).toFixed(1)}, most ${most(healthy).toFixed(1)} ms; frozen: median ${middle(frozen).toFixed(1)}, ` +
        `most ${most(frozen).toFixed(1)} ms; ${partPassed} of 600 a minute passed in ${awayMs.toFixed(0)} ms; back after ${backMs.toFixed(0)} ms`,
    );
  },
);
