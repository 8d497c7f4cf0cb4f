import { expect, onTestFinished, test } from 'vitest';
import { unitsLeft, type MeterGroup, type Rate, type Rule } from '#core/limits';
import type { LimitAnswer, LimitStore } from '../../limits-port.ts';
import {
  createTestClock,
  groupOf,
  perMinute,
  places,
  rateOf,
  realRandom,
  ruleOf,
  scopeOf,
  type TestClock,
} from '../limits-kit.fixture.ts';
import { createScriptedShared, settled, type ScriptedShared } from '../scripted-shared.fixture.ts';
import { createFleetLimits, type FleetLimitsOptions } from './fleet-limits.ts';

interface World {
  readonly clock: TestClock;
  readonly shared: ScriptedShared;
  readonly store: LimitStore;
  /** Moves time, a step at a time, and lets what falls due run out. */
  pass(ms: number): Promise<void>;
  take(groups: readonly MeterGroup[], costs: readonly number[], id?: string): LimitAnswer | Promise<LimitAnswer>;
  settle(id: string, groups: readonly MeterGroup[], step: number, deltas: readonly number[], isLast?: boolean): void;
}

function world(more: Partial<FleetLimitsOptions> = {}): World {
  const clock = createTestClock();
  const shared = createScriptedShared(clock);
  const store = createFleetLimits({ shared, clock, random: realRandom, ...more });
  onTestFinished(() => store.close());
  let made = 0;
  return {
    clock,
    shared,
    store,
    async pass(ms) {
      for (let passed = 0; passed < ms; passed += 1) {
        clock.advance(1_000);
        await settled();
      }
    },
    take: (groups, costs, id = `r${(made += 1)}`) => store.take({ id, groups, costs: Float64Array.from(costs) }),
    settle: (id, groups, step, deltas, isLast = false) =>
      void store.settle({ id, groups, step, deltas: Float64Array.from(deltas), isLast }),
  };
}
const one = (rate: Rate, rule: Partial<Rule> = {}): MeterGroup[] => [
  groupOf(scopeOf(0, [ruleOf('rule', rule)]), 'someone', [rate]),
];
const isPromise = (answer: LimitAnswer | Promise<LimitAnswer>): answer is Promise<LimitAnswer> => answer instanceof Promise;

test('a frozen store costs those under way one budget, and those who come after nothing at all', async () => {
  const { clock, shared, store, take } = world();
  const groups = one(perMinute(600), { whenAway: 'closed' });
  await settled();
  shared.mode = 'freeze';
  const underWay = [take(groups, [1]), take(groups, [1]), take(groups, [1])];
  expect(underWay.every(isPromise)).toBe(true);
  clock.advance(4_000);
  clock.advance(1_000);
  for (const answer of await Promise.all(underWay.filter(isPromise)))
    expect(answer).toMatchObject({ refusedBy: 0, waitUs: 1_000_000, by: 'closed' });
  expect(store.status()).toMatchObject({ awayBecause: 'no answer within 5 ms' });
  expect(isPromise(take(groups, [1]))).toBe(false);
  expect(shared.seen.length).toBe(3);
});

test('an answer within the budget that was read late, because this process was busy, is not late', async () => {
  const { clock, shared, store, take } = world();
  await settled();
  shared.mode = 'freeze';
  const asked = take(one(perMinute(600)), [1]);
  // Busy for a second: the first half of the timer runs, and then what has arrived is read.
  clock.advance(1_000_000);
  await shared.thaw();
  expect(await asked).toMatchObject({ refusedBy: -1, by: 'exact' });
  expect(store.status().awayBecause).toBeNull();
});

test('closed refuses, open lets pass, and a part of the limit begins with nothing and then comes at four fifths', async () => {
  const { shared, store, take, pass } = world();
  shared.gateways = 2;
  await pass(250);
  shared.mode = 'break';
  await pass(250);
  const [closed, open, part] = (['closed', 'open', 'local_share'] as const).map((whenAway) => [
    groupOf(scopeOf(1, [ruleOf(whenAway, { whenAway })]), whenAway, [perMinute(600)]),
  ]) as [MeterGroup[], MeterGroup[], MeterGroup[]];
  expect(await take(closed, [1])).toMatchObject({ refusedBy: 0, by: 'closed' });
  expect(await take(open, [1])).toMatchObject({ refusedBy: -1, by: 'open' });
  expect(await take(part, [1])).toMatchObject({ refusedBy: 0, by: 'local_share' });
  // 600 a minute between two, of which four fifths: one in 250 ms. After a minute of it, what came since it went is there.
  await pass(2_000);
  let passed = 0;
  while (((await take(part, [1])) as LimitAnswer).refusedBy === -1) passed++;
  expect(passed).toBeGreaterThanOrEqual(8);
  expect(passed).toBeLessThanOrEqual(9);
  const refused = (await take(part, [1])) as LimitAnswer;
  expect(refused.waitUs).toBeLessThanOrEqual(250_000);
  expect(unitsLeft(perMinute(600), refused.ahead[0]!)).toBe(0);
  expect(store.status().secondsIn.away).toBeGreaterThan(2);
});

test('all rules hold while the store is away too: one that is closed keeps the others from being used', async () => {
  const { shared, take, pass } = world();
  await settled();
  shared.mode = 'break';
  await pass(2_000);
  const rules = [ruleOf('part'), ruleOf('money', { whenAway: 'closed' })];
  const groups = [groupOf(scopeOf(2, rules), 'both', [perMinute(600), perMinute(600)])];
  for (let time = 0; time < 5; time++) expect(await take(groups, [1, 1])).toMatchObject({ refusedBy: 1, by: 'closed' });
  expect(await take(groups, [1, 0])).toMatchObject({ refusedBy: -1, by: 'local_share' });
});

test('what passed while it was away is told when it is back, once, before anybody asks it again', async () => {
  const { shared, store, take, pass, settle } = world();
  const groups = one(perMinute(600));
  await settled();
  shared.mode = 'break';
  await pass(1_000);
  for (let time = 0; time < 5; time++) expect(await take(groups, [1], `away${time}`)).toMatchObject({ by: 'local_share' });
  settle('away0', groups, 1, [2]);
  shared.mode = 'answer';
  const before = shared.seen.length;
  await pass(1_100);
  const told = shared.seen.slice(before);
  expect(told.map(({ what, units }) => [what, units[0]])).toEqual([['settle', 7]]);
  // Others may have something to tell as well.
  expect(await take(groups, [1])).toMatchObject({ by: 'local_share' });
  await pass(1_600);
  expect(store.status().awayBecause).toBeNull();
  expect(await take(groups, [1])).toMatchObject({ refusedBy: -1, by: 'exact' });
});

test('a blip of some ms ends with the next probe', async () => {
  const { shared, store, take, pass } = world();
  await settled();
  shared.mode = 'break';
  expect(await take(one(perMinute(600)), [1])).toMatchObject({ refusedBy: 0, by: 'local_share' });
  shared.mode = 'answer';
  await pass(30);
  expect(store.status().awayBecause).toBeNull();
});

test('an answer that comes too late is a share where there are shares, and goes back where there are none', async () => {
  const { clock, shared, take, pass } = world();
  await settled();
  const [leased, exact] = [true, false].map((isLeased) => [
    groupOf(scopeOf(3, [ruleOf('rule', { isLeased, whenAway: 'closed' })]), `late-${isLeased}`, [perMinute(600)]),
  ]) as [MeterGroup[], MeterGroup[]];
  shared.mode = 'freeze';
  const asked = [take(leased, [5]), take(exact, [7])];
  expect(asked.every(isPromise)).toBe(true);
  clock.advance(4_000);
  clock.advance(1_000);
  for (const answer of await Promise.all(asked.filter(isPromise))) expect(answer).toMatchObject({ by: 'closed' });
  await shared.thaw();
  await pass(50);
  expect(await take(leased, [5])).toMatchObject({ refusedBy: -1, by: 'leased' });
  expect(shared.seen.filter(({ what }) => what === 'settle').map(({ units }) => units[0])).toEqual([-7]);
});

test('a settlement whose answer was lost is sent again under the same id, and counts once', async () => {
  const { shared, store, take, pass, settle } = world();
  const groups = one(perMinute(600));
  await settled();
  await take(groups, [100], 'lost');
  shared.mode = 'lose';
  settle('lost', groups, 1, [50], true);
  await pass(120);
  expect(store.status().awayBecause).not.toBeNull();
  await shared.thaw();
  await pass(4_000);
  const settles = shared.seen.filter(({ what }) => what === 'settle');
  expect(settles.length).toBeGreaterThan(1);
  expect(new Set(settles.map(({ id, step }) => `${id} ${step}`)).size).toBe(1);
  const { ahead } = await store.peek(groups);
  // 150 were used, 10 a second come back.
  expect(600 - unitsLeft(perMinute(600), ahead[0]!)).toBeGreaterThan(90);
  expect(600 - unitsLeft(perMinute(600), ahead[0]!)).toBeLessThanOrEqual(150);
});

test('what can be owed is bounded: beyond it settlements are dropped, and counted', async () => {
  const { shared, store, take, pass } = world({ owingMax: 3 });
  await settled();
  shared.mode = 'break';
  await pass(2_000);
  for (let subject = 0; subject < 5; subject++) {
    const groups = [groupOf(scopeOf(4, [ruleOf('open', { whenAway: 'open' })]), `owing-${subject}`, [perMinute(600)])];
    expect(await take(groups, [1])).toMatchObject({ by: 'open' });
  }
  expect(store.status().settlementsDropped).toBe(2);
});

test('a place that is free here may be used here while the store is away; no other, where the rule is closed', async () => {
  const { shared, take, pass, settle } = world();
  const groups = one(places(4), { whenAway: 'closed' });
  await settled();
  await take(groups, [1], 'held');
  shared.mode = 'break';
  await pass(1_000);
  expect(await take(groups, [1])).toMatchObject({ refusedBy: 0, by: 'closed' });
  settle('held', groups, 1, [0], true);
  // An unleased place goes back at once, and waits here to be told.
  expect(await take(groups, [1])).toMatchObject({ refusedBy: 0, by: 'closed' });
  shared.mode = 'answer';
  await pass(3_000);
  expect((await take(groups, [4])).refusedBy).toBe(-1);
});

test('a store that has lost its memory is told at once which places are held', async () => {
  const { shared, store, take, pass } = world();
  const groups = one(places(4));
  await settled();
  await take(groups, [3], 'held');
  await pass(250);
  const before = shared.seen.length;
  shared.isKnown = false;
  await pass(210);
  shared.isKnown = true;
  expect(store.status().storeForgot).toBe(1);
  expect(shared.seen.slice(before).map(({ what, units }) => [what, units[0]])).toEqual([['hold', 3]]);
});

test('a store that refuses nothing any more counts as away, until it refuses again', async () => {
  const { shared, store, pass } = world();
  await pass(20);
  shared.refuses = false;
  await pass(10_100);
  expect(store.status().awayBecause).toBe('a request over its limit was not refused');
  shared.refuses = true;
  await pass(4_000);
  expect(store.status().awayBecause).toBeNull();
});

test('a key far over its limit is refused here for a while, with the wait as it runs down, until something is given back', async () => {
  const { clock, shared, take, settle } = world();
  const groups = one(perMinute(60));
  await settled();
  await take(groups, [60], 'all');
  expect(await take(groups, [1])).toMatchObject({ refusedBy: 0, waitUs: 1_000_000 });
  const before = shared.seen.length;
  clock.advance(40_000);
  for (let time = 0; time < 100; time++)
    expect(await take(groups, [1])).toMatchObject({ refusedBy: 0, waitUs: 960_000, by: 'exact' });
  expect(shared.seen.length).toBe(before);
  settle('all', groups, 1, [-1]);
  expect((await take(groups, [1])).refusedBy).toBe(-1);
});

test('what is left of a share whose time is over goes back to the store, though its subject is never left alone', async () => {
  const { clock, shared, take } = world();
  await settled();
  const day = one(rateOf({ kind: 'day', limit: 1_000 }), { isLeased: true });
  let passed = 0;
  const ask = async (times: number): Promise<void> => {
    for (let time = 0; time < times; time++) if ((await take(day, [1])).refusedBy === -1) passed++;
  };
  // Fewer asks than the burst before makes it expect, and never a lease without one.
  for (let burst = 0; burst < 10; burst++) {
    await ask(20);
    for (let pause = 0; pause < 6; pause++) {
      clock.advance(500_000);
      await settled();
      await ask(1);
    }
  }
  const charged = shared.seen.reduce(
    (sum, { what, units, wishes }) => sum + (what === 'hold' ? 0 : (units[0] as number) + (wishes?.[0] ?? 0)),
    0,
  );
  expect(passed).toBe(260);
  // What passed, and no more than one share that is at hand.
  expect(charged).toBeGreaterThanOrEqual(passed);
  expect(charged).toBeLessThanOrEqual(passed + 40);
});

test('what many requests give back is told together, and before anything else is asked about its subject', async () => {
  const { clock, shared, take, settle } = world();
  await settled();
  const groups = one(perMinute(60_000), { isLeased: true });
  const told = (): number => shared.seen.filter(({ what }) => what === 'settle').length;
  for (let time = 0; time < 100; time++) {
    await take(groups, [10], `leased${time}`);
    settle(`leased${time}`, groups, 1, [-5], true);
    clock.advance(1_000);
    await settled();
  }
  const asked = shared.seen.filter(({ what }) => what === 'take').length;
  // At most one before each ask, and one for each quarter of a second.
  expect(told()).toBeLessThanOrEqual(asked + 12);
  expect(told()).toBeLessThan(30);
  clock.advance(300_000);
  await settled();
  const returned = shared.seen.filter(({ what }) => what === 'settle').reduce((sum, { units }) => sum + (units[0] as number), 0);
  // Everything is back but what a share that has not run out may still hold.
  expect(returned).toBeLessThanOrEqual(-500);
});
