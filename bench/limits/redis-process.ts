// A client of Redis that decides about limits, in a process of its own: by our store, by leases on top of it, or by a peer.
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { RateLimiterRedis } from 'rate-limiter-flexible';
import type { MeterGroup, Rate } from '#core/limits';
import { createSystemClock, createSystemRandom } from '#runtime';
import { createFleetLimits, openRedisLimits, type RedisLimits } from '#storage';
import type { Metrics } from '../measure.ts';
import { aim, createRandom, newGroup, perHour, rateOf, ruleOf } from './full-tree.ts';
import { createZipf } from './zipf.ts';

interface Load {
  readonly port: number;
  readonly seconds: number;
  readonly inFlight: number;
  readonly seed: number;
}
/** `levels`: one limit on each of four subjects. `dimensions`: four limits on one subject. */
export type Shape = 'levels' | 'dimensions';
export type RedisOrder = Load &
  (
    | { readonly kind: 'ours' | 'peer'; readonly shape: Shape; readonly keys: number }
    | {
        readonly kind: 'leases';
        readonly tenants: number;
        readonly exponent: number;
        readonly pausedMs: number;
        readonly isExact: boolean;
      }
  );

const WARM_UP_MS = 1_000;
const LEVELS = ['organization', 'workspace', 'key', 'end_user'] as const;
const MEASURES = ['requests', 'input_tokens', 'output_tokens', 'total_tokens'] as const;
/** Keys of an organization, and of a workspace. */
const OF_ORGANIZATION = 100;
const OF_WORKSPACE = 25;
const PER_HOUR = 1_000_000_000;

async function carryOut(order: RedisOrder): Promise<Metrics> {
  const server = new Redis({ port: order.port, host: '127.0.0.1' });
  await server.flushall();
  server.disconnect();
  switch (order.kind) {
    case 'ours':
      return measureOurs(order);
    case 'peer':
      return measurePeer(order);
    case 'leases':
      return measureLeases(order);
  }
}

async function measureOurs(order: RedisOrder & { readonly kind: 'ours' | 'peer' }): Promise<Metrics> {
  const limits = await open(order.port);
  const draw = createSubjects(order.shape);
  const random = createRandom(order.seed);
  const units = new Float64Array(4).fill(1);
  const metrics = await measure(order, async () => {
    const reply = await limits.send({ ...NO_LEASES, what: 'take', groups: draw(random(order.keys)), units });
    if (reply.kind === 'failed' || reply.refusedBy !== -1) throw new Error('a decision was not to let it in');
  });
  await limits.close();
  return metrics;
}

/** Four limiters, asked at the same time: what is refused by one is charged by the others. */
async function measurePeer({ shape, keys, ...load }: RedisOrder & { readonly kind: 'ours' | 'peer' }): Promise<Metrics> {
  const storeClient = new Redis({ port: load.port, host: '127.0.0.1' });
  const limiters = (shape === 'levels' ? LEVELS : MEASURES).map(
    (keyPrefix) => new RateLimiterRedis({ storeClient, keyPrefix, points: PER_HOUR, duration: 3600 }),
  );
  const random = createRandom(load.seed);
  const metrics = await measure(load, async () => {
    const key = random(keys);
    await Promise.all(
      limiters.map((limiter, at) => limiter.consume(shape === 'levels' ? (namesOf(key)[at] as string) : `key_${key}`)),
    );
  });
  storeClient.disconnect();
  return metrics;
}

/** Whole requests: taken, and settled at their end, by one gateway that takes shares in advance. */
async function measureLeases({
  tenants,
  exponent,
  pausedMs,
  isExact,
  ...load
}: RedisOrder & { readonly kind: 'leases' }): Promise<Metrics> {
  const shared = await open(load.port);
  const store = createFleetLimits({ shared, clock: createSystemClock(), random: createSystemRandom() });
  const draw = createSubjects('dimensions');
  const random = createRandom(load.seed);
  const zipf = createZipf(tenants, exponent);
  const ofTenant = Array.from({ length: tenants }, (_, tenant) => draw(tenant * OF_ORGANIZATION));
  const costs = Float64Array.of(1, 500, 200, 700);
  // What was reserved was right, or was a little more or less than was used.
  const deltas = isExact ? new Float64Array(4) : Float64Array.of(0, 20, -50, -30);
  let [ids, asked, apart, refused, operations] = [0, 0, 0, 0, 0];
  const metrics = await measure(
    load,
    async () => {
      const groups = ofTenant[zipf(random(2 ** 30) / 2 ** 30)] as readonly MeterGroup[];
      const id = `request_${ids++}`;
      const taken = store.take({ id, groups, costs });
      const answer = taken instanceof Promise ? await taken : taken;
      if (taken instanceof Promise) asked++;
      if (answer.by === 'local_share') apart++;
      if (answer.refusedBy !== -1) {
        refused++;
        return turn();
      }
      const settled = store.settle({ id, groups, step: 1, deltas, isLast: true });
      if (settled instanceof Promise) await settled;
      // Answers that need no store would leave no time for those that do.
      return pausedMs > 0 ? sleep(pausedMs) : turn();
    },
    () => {
      [asked, apart, refused] = [0, 0, 0];
      operations = store.status().operations;
    },
  );
  const spent = store.status().operations - operations;
  await store.close();
  const decisions = metrics.decisions ?? Number.NaN;
  return {
    ...metrics,
    perOperation: decisions / spent,
    askedRatio: asked / decisions,
    apartRatio: apart / decisions,
    refusedRatio: refused / decisions,
  };
}

async function open(port: number): Promise<RedisLimits> {
  const opened = await openRedisLimits({
    url: `redis://127.0.0.1:${port}`,
    clock: createSystemClock(),
    random: createSystemRandom(),
  });
  if (!opened.ok) throw new Error(opened.error.message);
  return opened.value;
}

const NO_LEASES = {
  wishes: null,
  gateway: 'bench',
  gateways: 1,
  leaseMs: 0,
  placesLeaseMs: 0,
  id: '',
  step: 0,
  ageUs: 0,
} as const;

/** @returns what makes the groups of a key, by number */
function createSubjects(shape: Shape): (key: number) => readonly MeterGroup[] {
  const rate = rateOf(perHour(PER_HOUR));
  const groupOf = (
    scope: MeterGroup['scope'],
    rates: readonly Rate[],
    subject: number,
    names: readonly string[],
    at: number,
  ): MeterGroup => {
    const group = newGroup(scope, rates);
    aim(group, subject);
    return { ...group, tenant: names[0] as string, subject: names[at] as string };
  };
  if (shape === 'dimensions') {
    const scope = { index: 0, id: 'key', rules: MEASURES.map((measure) => ruleOf({ id: measure, measure })) };
    const rates = MEASURES.map(() => rate);
    return (key) => [groupOf(scope, rates, key, namesOf(key), 2)];
  }
  const scopes = LEVELS.map((id, index) => ({ index, id, rules: [ruleOf({ id, measure: 'requests' as const })] }));
  const rates = [rate];
  return (key) => scopes.map((scope, at) => groupOf(scope, rates, key, namesOf(key), at));
}

const namesOf = (key: number): readonly string[] => [
  `org_${Math.floor(key / OF_ORGANIZATION)}`,
  `ws_${Math.floor(key / OF_WORKSPACE)}`,
  `key_${key}`,
  `user_${key}`,
];

/** So many at a time, one after another, for a while. */
async function measure(load: Load, decide: () => Promise<void>, onStart: () => void = () => undefined): Promise<Metrics> {
  const server = new Redis({ port: load.port, host: '127.0.0.1' });
  const serverCpuS = async (): Promise<number> =>
    [...(await server.info('cpu')).matchAll(/^used_cpu_(?:sys|user):([\d.]+)/gm)].reduce(
      (sum, [, text]) => sum + Number(text),
      0,
    );
  const runFor = async (ms: number): Promise<number> => {
    let done = 0;
    const untilMs = performance.now() + ms;
    const worker = async (): Promise<void> => {
      for (; performance.now() < untilMs; done++) await decide();
    };
    await Promise.all(Array.from({ length: load.inFlight }, worker));
    return done;
  };
  await runFor(WARM_UP_MS);
  onStart();
  const [startMs, cpu, serverS] = [performance.now(), process.cpuUsage(), await serverCpuS()];
  const decisions = await runFor(load.seconds * 1000);
  const elapsedMs = performance.now() - startMs;
  const { user, system } = process.cpuUsage(cpu);
  const serverUs = ((await serverCpuS()) - serverS) * 1e6;
  server.disconnect();
  return {
    decisions,
    perSecond: (decisions * 1000) / elapsedMs,
    clientUs: (user + system) / decisions,
    serverUs: serverUs / decisions,
  };
}

process.on('message', ({ id, ...order }: { readonly id: number } & RedisOrder) => {
  void carryOut(order).then(
    (value) => process.send?.({ kind: 'done', id, value }),
    (error: unknown) => process.send?.({ kind: 'failed', id, message: String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
process.send?.({ kind: 'listening', port: null });
