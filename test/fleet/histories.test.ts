import { describe, expect, test } from 'vitest';
import { boundsOf } from '#core/limits';
import type { LimitStatus } from '#storage';
import { rateOf, ruleOf } from '../../src/storage/limits/limits-kit.fixture.ts';
import { checkHistory, type FleetEvent, type LimitPromise } from './history-checker.ts';
import { LIMITS, startFleet, type Fleet } from './kit/fleet.ts';
import type { Load } from './kit/load.ts';
import { eventually, pause, REDIS_SERVER, SKIPPED, startRedis, startSwitch } from './kit/redis-server.ts';

const GATEWAYS = 3;
const WINDOW_US = 60_000_000;

/** Requests, places and reserved tokens of two subjects, asked for by far more than there is. */
const LOAD: Load = {
  meters: [
    { rule: { id: 'rpm' }, rate: { kind: 'rate', limit: 3_000, windowUs: WINDOW_US, burst: 60 } },
    { rule: { id: 'concurrency', measure: 'concurrency', whenAway: 'closed' }, rate: { kind: 'places', limit: 8 } },
    {
      rule: { id: 'tpm', measure: 'output_tokens', output: 'max_tokens' },
      rate: { kind: 'rate', limit: 240_000, windowUs: WINDOW_US, burst: 4_000 },
    },
  ],
  subjects: ['one', 'two'],
  costs: [1, 1, 50],
  settles: [[0, 0, -10]],
  workers: 8,
  holdMs: 5,
  pauseMs: 5,
};
const PROMISES: readonly LimitPromise[] = [
  { kind: 'rate', meter: 0, limit: 3_000, windowUs: WINDOW_US, burst: 60, allowance: 0 },
  { kind: 'places', meter: 1, limit: 8, allowance: 0 },
  { kind: 'rate', meter: 2, limit: 240_000, windowUs: WINDOW_US, burst: 4_000, allowance: 0 },
];
const withLoss = (losses: number): readonly LimitPromise[] =>
  PROMISES.map((promise) => ({ ...promise, allowance: losses * lostBy(promise) }));
/** What `plimsoll limit explain` prints for a loss. */
function lostBy(promise: LimitPromise): number {
  const meter = LOAD.meters[promise.meter]!;
  return boundsOf(ruleOf(meter.rule.id, meter.rule), rateOf(meter.rate), { gateways: GATEWAYS, ...LIMITS, chargeStep: 0 })
    .overshoot.afterLoss;
}

type Granted = Extract<FleetEvent, { kind: 'granted' }>;
const grants = (events: readonly FleetEvent[]): readonly Granted[] => events.filter((event) => event.kind === 'granted');
/** A history in which little happens proves little: it goes on until so much was let pass, however slow the machine. */
const until = (fleet: Fleet, passed: number): Promise<void> =>
  eventually(() => grants(fleet.events()).length >= passed, 15_000, 50);
const expectBusy = (events: readonly FleetEvent[]): void => {
  expect(events.filter(({ kind }) => kind === 'refused').length).toBeGreaterThan(20);
  expect(new Set(grants(events).map(({ gateway }) => gateway)).size).toBe(GATEWAYS);
};
const operationsOf = (statuses: ReadonlyMap<string, LimitStatus>): number =>
  [...statuses.values()].reduce((sum, { operations }) => sum + operations, 0);

// Each starts a server and some processes, and lets them run for a second or two of real time.
describe.skipIf(REDIS_SERVER === null)(`a fleet under one limit, every history checked from outside${SKIPPED}`, () => {
  test('all gateways at once: no request, place or reserved token too many, and the whole burst can be used', async () => {
    const redis = await startRedis();
    const fleet = await startFleet(GATEWAYS, redis.url, LOAD);
    await pause(1_000);
    // Two subjects, a burst each, and what has been refilled meanwhile.
    await until(fleet, 2 * (60 + 50));
    await fleet.end();
    const events = fleet.events();
    expect(checkHistory(events, PROMISES)).toEqual([]);
    expectBusy(events);
    expect(grants(events).some(({ by }) => by === 'leased')).toBe(true);
  });

  test('a killed gateway holds its places for one lease and no longer', async () => {
    const redis = await startRedis();
    const load: Load = {
      ...LOAD,
      meters: LOAD.meters.slice(1, 2),
      subjects: ['one'],
      costs: [1],
      settles: [[0]],
      holdMs: 60_000,
      workers: 4,
    };
    const fleet = await startFleet(GATEWAYS, redis.url, load);
    await until(fleet, 8);
    const victim = grants(fleet.events())[0]!.gateway;
    const held = grants(fleet.events()).filter(({ gateway }) => gateway === victim).length;
    await fleet.kill(victim);
    const killedAtUs = fleet.events().find(({ kind }) => kind === 'killed')!.fromUs;
    await until(fleet, 8 + held);
    const events = fleet.events();
    const lastUs = Math.max(...grants(events).map(({ toUs }) => toUs));
    // One lease, and time for a busy machine to ask again.
    expect((lastUs - killedAtUs) / 1_000).toBeLessThan(LIMITS.placesLeaseMs + 1_000);
    expect(checkHistory(events, [{ kind: 'places', meter: 0, limit: 8, allowance: 0 }])).toEqual([]);
    for (const name of fleet.names) if (name !== victim) await fleet.kill(name);
  });

  test('a frozen store costs each request under way one budget and the next ones nothing; when it thaws, nothing has doubled', async () => {
    const redis = await startRedis();
    const fleet = await startFleet(GATEWAYS, redis.url, LOAD, { ...LIMITS, budgetMs: 5 });
    await pause(500);
    redis.signal('SIGSTOP');
    await pause(1_500);
    const away = await Promise.all(fleet.names.map((name) => fleet.status(name)));
    redis.signal('SIGCONT');
    for (const status of away) expect(status.awayBecause).toMatch(/no answer within/);
    await eventually(async () => {
      const all = await Promise.all(fleet.names.map((name) => fleet.status(name)));
      return all.every(({ awayBecause }) => awayBecause === null);
    });
    await pause(500);
    const statuses = await fleet.end();
    const events = fleet.events();
    expect(checkHistory(events, PROMISES)).toEqual([]);
    expectBusy(events);
    const answered = events.filter((event): event is Granted => event.kind === 'granted' || event.kind === 'refused');
    for (const name of fleet.names) {
      const own = answered.filter(({ gateway }) => gateway === name);
      const away = own.filter(({ by }) => by === 'local_share' || by === 'closed');
      expect(away.length).toBeGreaterThan(20);
      // Those that waited: no more than were under way at once.
      expect(away.filter(({ fromUs, toUs }) => toUs - fromUs > 3_000).length).toBeLessThanOrEqual(3 * LOAD.workers);
      const median = away.map(({ fromUs, toUs }) => toUs - fromUs).toSorted((a, b) => a - b)[away.length >> 1]!;
      expect(median).toBeLessThan(500);
      expect(statuses.get(name)!.secondsIn.away).toBeGreaterThan(1.3);
      expect(statuses.get(name)!.settlementsDropped).toBe(0);
    }
  });

  test('a store that is killed and comes back with what it acknowledged: not one too many', async () => {
    const redis = await startRedis(['--appendonly', 'yes', '--appendfsync', 'always']);
    const fleet = await startFleet(GATEWAYS, redis.url, LOAD);
    await pause(500);
    await redis.kill();
    await pause(700);
    await redis.start();
    await pause(2_000);
    await until(fleet, 200);
    await fleet.end();
    expect(checkHistory(fleet.events(), PROMISES)).toEqual([]);
    expectBusy(fleet.events());
  });

  test('a store that comes back empty: within the bound that is printed for a loss', async () => {
    const redis = await startRedis();
    const fleet = await startFleet(GATEWAYS, redis.url, LOAD);
    await pause(500);
    await redis.kill();
    await redis.start();
    await pause(2_000);
    await until(fleet, 200);
    await fleet.end();
    expect(checkHistory(fleet.events(), withLoss(1))).toEqual([]);
    expectBusy(fleet.events());
  });

  test('a flush while all ask: within the bound, noticed within a beat, and the places are told again', async () => {
    const redis = await startRedis();
    const fleet = await startFleet(GATEWAYS, redis.url, LOAD);
    await pause(600);
    await redis.ask.flushall();
    await pause(500);
    await until(fleet, 200);
    const statuses = await fleet.end();
    expect(checkHistory(fleet.events(), withLoss(1))).toEqual([]);
    expectBusy(fleet.events());
    for (const { storeForgot } of statuses.values()) expect(storeForgot).toBeGreaterThanOrEqual(1);
  });

  test('scripts flushed over and over while all ask: not one too many, nobody away', async () => {
    const redis = await startRedis();
    const fleet = await startFleet(GATEWAYS, redis.url, LOAD);
    for (let time = 0; time < 15; time++) {
      await pause(60);
      await redis.ask.script('FLUSH');
    }
    const statuses = await fleet.end();
    expect(checkHistory(fleet.events(), PROMISES)).toEqual([]);
    expectBusy(fleet.events());
    for (const { secondsIn } of statuses.values()) expect(secondsIn.away).toBe(0);
  });

  test('a lagging replica promoted behind the same address: within the bound for a loss', async () => {
    const [primary, replica] = [await startRedis(), await startRedis()];
    await replica.ask.replicaof('127.0.0.1', primary.port);
    await eventually(async () => (await replica.ask.info('replication')).includes('master_link_status:up'));
    const address = await startSwitch(primary.port);
    const fleet = await startFleet(GATEWAYS, address.url, LOAD);
    await pause(600);
    // From here on it hears nothing: it keeps what it knew.
    await replica.ask.replicaof('127.0.0.1', 1);
    await pause(600);
    await primary.kill();
    await replica.ask.replicaof('NO', 'ONE');
    address.turn(replica.port);
    await pause(2_000);
    await until(fleet, 200);
    await fleet.end();
    expect(checkHistory(fleet.events(), withLoss(1))).toEqual([]);
    expectBusy(fleet.events());
  });

  test('output metered as it streams: over by at most a charge for each stream under way', async () => {
    const redis = await startRedis();
    const step = 64;
    const load: Load = {
      meters: [
        {
          rule: { id: 'otpm', measure: 'output_tokens', isMetered: true },
          rate: { kind: 'rate', limit: 120_000, windowUs: WINDOW_US, burst: 4_000 },
        },
      ],
      subjects: ['one'],
      costs: [0],
      settles: Array.from({ length: 1 }, () => [step]),
      workers: 6,
      holdMs: 2,
      pauseMs: 2,
    };
    const fleet = await startFleet(GATEWAYS, redis.url, load);
    await pause(1_000);
    await until(fleet, 60);
    await fleet.end();
    const promise = { kind: 'rate', meter: 0, limit: 120_000, windowUs: WINDOW_US, burst: 4_000, isMetered: true } as const;
    const underWay = GATEWAYS * load.workers;
    expect(checkHistory(fleet.events(), [{ ...promise, allowance: underWay * step }])).toEqual([]);
    expectBusy(fleet.events());
  });

  test('a hot key: twenty decisions and more for every operation of the store', async () => {
    const redis = await startRedis();
    const load: Load = {
      meters: ['rpm', 'tpm'].map((id) => ({
        rule: { id },
        rate: { kind: 'rate', limit: 6_000_000, windowUs: WINDOW_US, burst: 6_000_000 },
      })),
      subjects: ['one'],
      costs: [1, 10],
      settles: [[0, 0]],
      workers: 16,
      holdMs: 0,
      pauseMs: 0,
    };
    const fleet = await startFleet(2, redis.url, load);
    await pause(2_000);
    const statuses = await fleet.end();
    expect(grants(fleet.events()).length / operationsOf(statuses)).toBeGreaterThan(20);
  });
});
