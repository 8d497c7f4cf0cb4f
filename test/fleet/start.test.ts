import { describe, expect, onTestFinished, test } from 'vitest';
import { createSystemClock, createSystemRandom } from '#runtime';
import { createFleetLimits, openRedisLimits, type RedisLimits } from '#storage';
import { groupOf, perMinute, places, rateOf, ruleOf, scopeOf } from '../../src/storage/limits/limits-kit.fixture.ts';
import { eventually, REDIS_SERVER, SKIPPED, startCluster, startRedis, startSwitch } from './kit/redis-server.ts';

const clock = createSystemClock();
const random = createSystemRandom();

async function refusal(url: string): Promise<{ readonly kind: string; readonly message: string }> {
  const opened = await openRedisLimits({ url, clock, random });
  if (opened.ok) await opened.value.close();
  return opened.ok ? { kind: 'opened', message: '' } : opened.error;
}

async function open(url: string): Promise<RedisLimits> {
  const opened = await openRedisLimits({ url, clock, random });
  if (!opened.ok) throw new Error(opened.error.message);
  onTestFinished(() => opened.value.close());
  return opened.value;
}

// Each starts servers of its own, which takes some hundred ms.
describe.skipIf(REDIS_SERVER === null)(`where limits would silently not apply, a gateway does not start${SKIPPED}`, () => {
  test('a cluster given as a single server, and the reverse, is refused; a cluster by its own scheme is not', async () => {
    const single = await startRedis();
    const cluster = await startCluster();
    expect(await refusal(single.url)).toMatchObject({ kind: 'opened' });
    expect(await refusal(cluster.url)).toMatchObject({ kind: 'opened' });
    expect(await refusal(cluster.nodes[1]!.url)).toMatchObject({ kind: 'is_cluster' });
    expect(await refusal(single.url.replace('redis:', 'redis-cluster:'))).toMatchObject({ kind: 'is_not_cluster' });
    await cluster.nodes[2]!.ask.config('SET', 'maxmemory-policy', 'allkeys-lru', 'maxmemory', '100mb');
    expect(await refusal(cluster.url)).toMatchObject({ kind: 'evicts' });
  });

  test('a replica, which cannot write, is refused', async () => {
    const [primary, replica] = [await startRedis(), await startRedis()];
    await replica.ask.replicaof('127.0.0.1', primary.port);
    expect(await refusal(replica.url)).toMatchObject({ kind: 'read_only' });
  });

  test('a policy that may drop counters is refused as soon as there is a bound on memory', async () => {
    const server = await startRedis();
    for (const policy of ['allkeys-lru', 'volatile-ttl', 'allkeys-random']) {
      await server.ask.config('SET', 'maxmemory', '0', 'maxmemory-policy', policy);
      expect(await refusal(server.url)).toMatchObject({ kind: 'opened' });
      await server.ask.config('SET', 'maxmemory', '100mb');
      expect(await refusal(server.url)).toMatchObject({ kind: 'evicts' });
    }
    await server.ask.config('SET', 'maxmemory-policy', 'noeviction');
    expect(await refusal(server.url)).toMatchObject({ kind: 'opened' });
  });

  test('where scripts may not run, or INFO is not answered, a gateway does not start: could not tell is never a pass', async () => {
    const server = await startRedis();
    await server.ask.call('ACL', 'SETUSER', 'noscripts', 'on', '>pw', '~*', '+@all', '-@scripting');
    await server.ask.call('ACL', 'SETUSER', 'noinfo', 'on', '>pw', '~*', '+@all', '-info');
    await server.ask.call('ACL', 'SETUSER', 'nowrites', 'on', '>pw', '~*', '+@all', '-hset');
    const as = (user: string): string => server.url.replace('redis://', `redis://${user}:pw@`);
    expect(await refusal(as('noscripts'))).toMatchObject({ kind: 'scripts_refused' });
    expect(await refusal(as('noinfo'))).toMatchObject({ kind: 'could_not_tell' });
    expect(await refusal(as('nowrites'))).toMatchObject({ kind: 'scripts_refused' });
  });

  test('neither a wrong password nor a right one is in any message', async () => {
    const server = await startRedis();
    await server.ask.config('SET', 'requirepass', 'right-secret');
    for (const url of [
      server.url.replace('redis://', 'redis://:wrong-secret@'),
      server.url,
      'redis://:wrong-secret@127.0.0.1:1',
      'redis://:wrong secret@@127.0.0.1:1',
      'http://:wrong-secret@127.0.0.1:1',
    ]) {
      const { kind, message } = await refusal(url);
      expect(kind).not.toBe('opened');
      expect(message).not.toMatch(/secret/);
    }
    const limits = await open(server.url.replace('redis://', 'redis://:right-secret@'));
    expect(limits.place).toBe(server.url);
  });

  test('a server that has forgotten the script is sent it again, and where EVALSHA is blocked it is sent whole', async () => {
    const server = await startRedis();
    const scope = scopeOf(0, [ruleOf('rpm')]);
    const groups = [groupOf(scope, 'one', [perMinute(1_000)])];
    const takes = async (limits: RedisLimits): Promise<void> => {
      const store = createFleetLimits({ shared: limits, clock, random, leaseMs: 0, budgetMs: 1_000 });
      for (let time = 0; time < 3; time++) {
        await server.ask.script('FLUSH');
        const answer = await store.take({ id: `r${time}`, groups, costs: Float64Array.of(1) });
        expect(answer).toMatchObject({ refusedBy: -1, by: 'exact' });
      }
      await store.close();
    };
    const limits = await open(server.url);
    await takes(limits);
    expect(limits.scriptsSentAnew).toBeGreaterThanOrEqual(3);
    await server.ask.call('ACL', 'SETUSER', 'proxy', 'on', '>pw', '~*', '+@all', '-evalsha', '-script');
    const whole = await open(server.url.replace('redis://', 'redis://proxy:pw@'));
    expect(whole.areScriptsSentWhole).toBe(true);
    await takes(whole);
  });

  test('no key is without an expiry, and everything of one organization lies in one slot', async () => {
    const cluster = await startCluster();
    const limits = await open(cluster.url);
    const store = createFleetLimits({ shared: limits, clock, random, leaseMs: 1_000, budgetMs: 1_000 });
    const rules = ['rpm', 'day', 'month', 'conc'].map((id) => ruleOf(id, { isLeased: true }));
    const rates = [perMinute(1_000), rateOf({ kind: 'day', limit: 500 }), rateOf({ kind: 'month', limit: 500 }), places(50)];
    for (const tenant of ['org_a', 'org_b', 'org_c', 'org_d'])
      for (let time = 0; time < 8; time++) {
        const groups = ['key', 'user'].map((name, at) => groupOf(scopeOf(at, rules), name, rates, tenant));
        const id = `${tenant}-${time}`;
        const costs = Float64Array.from(groups.flatMap(() => [1, 1, 1, 1]));
        expect((await store.take({ id, groups, costs })).refusedBy).toBe(-1);
        await store.settle({ id, groups, step: 1, deltas: costs.map(() => 1), isLast: time % 2 === 0 });
      }
    await store.close();
    const slots = new Map<string, Set<number>>();
    for (const { ask } of cluster.nodes)
      for (const key of await ask.keys('*')) {
        expect([key, await ask.pttl(key)]).toEqual([key, expect.toSatisfy((ms: number) => ms > 0)]);
        const tenant = /\{(.+?)\}/.exec(key)![1]!;
        slots.set(tenant, (slots.get(tenant) ?? new Set()).add(Number(await ask.call('CLUSTER', 'KEYSLOT', key))));
      }
    expect([...slots.keys()]).toEqual(expect.arrayContaining(['org_a', 'org_b', 'org_c', 'org_d']));
    for (const of of slots.values()) expect(of.size).toBe(1);
  });

  test('a store that stops refusing while it runs counts as away until it refuses again', async () => {
    const [honest, door] = [await startRedis(), await startRedis()];
    const turned = await startSwitch(honest.port);
    const limits = await open(turned.url);
    // The watch over refusals comes every 10 s: here, whenever the test says so.
    const hurried = { ...clock, after: (ms: number, task: () => void) => clock.after(ms === 10_000 ? 50 : ms, task) };
    const store = createFleetLimits({ shared: limits, clock: hurried, random, budgetMs: 1_000 });
    onTestFinished(() => store.close());
    await eventually(() => limits.operations > 6);
    expect(store.status().awayBecause).toBeNull();
    // A store that forgets every write at once lets everything pass: here, a read of nothing before each.
    const forgetting = setInterval(() => void door.ask.flushall(), 1);
    onTestFinished(() => clearInterval(forgetting));
    turned.turn(door.port);
    await eventually(() => store.status().awayBecause?.includes('not refused') ?? false);
    clearInterval(forgetting);
    await eventually(() => store.status().awayBecause === null);
  });
});
