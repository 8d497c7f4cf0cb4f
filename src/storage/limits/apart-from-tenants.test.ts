import { expect, onTestFinished, test } from 'vitest';
import { unitsLeft, type MeterGroup } from '#core/limits';
import type { LimitStore } from '../limits-port.ts';
import { keepApartFromTenants, NO_TENANT } from './apart-from-tenants.ts';
import { createTestClock, groupOf, perMinute, places, ruleOf, scopeOf } from './limits-kit.fixture.ts';
import { createMemoryLimits } from './memory-limits.ts';

function stores(): { own: LimitStore; fleet: LimitStore; both: LimitStore } {
  const clock = createTestClock();
  const [own, fleet] = [createMemoryLimits({ clock, subjectsMax: 100 }), createMemoryLimits({ clock, subjectsMax: 100 })];
  const both = keepApartFromTenants({ own, fleet });
  onTestFinished(() => both.close());
  return { own, fleet, both };
}
const inside = groupOf(scopeOf(0, [ruleOf('key'), ruleOf('conc')]), 'key_1', [perMinute(10), places(5)], 'org_1');
const outside = groupOf(scopeOf(1, [ruleOf('address')]), '192.0.2.0', [perMinute(3)], NO_TENANT);
const take = async (store: LimitStore, id: string, groups: readonly MeterGroup[], costs: readonly number[]) =>
  store.take({ id, groups, costs: Float64Array.from(costs) });
const left = async (store: LimitStore, group: MeterGroup): Promise<number> =>
  unitsLeft(group.rates[0]!, (await store.peek([group])).ahead[0]!);

test('what is outside any organization is counted here alone, the rest where the fleet counts', async () => {
  const { own, fleet, both } = stores();
  expect(await take(both, 'a', [inside, outside], [2, 1, 1])).toMatchObject({ refusedBy: -1 });
  expect([await left(own, outside), await left(fleet, inside)]).toEqual([2, 8]);
  expect([await left(own, inside), await left(fleet, outside)]).toEqual([10, 3]);
  await both.settle({ id: 'a', groups: [inside, outside], step: 1, deltas: Float64Array.of(3, 0, 1), isLast: true });
  expect([...(await both.peek([outside, inside])).ahead].map(Math.sign)).toEqual([1, 1, 0]);
  expect([await left(own, outside), await left(fleet, inside)]).toEqual([1, 5]);
});

test('a refusal names the meter among all, and takes nothing on either side', async () => {
  const { own, fleet, both } = stores();
  expect(await take(both, 'a', [inside, outside], [11, 1, 1])).toMatchObject({ refusedBy: 0 });
  expect([await left(own, outside), await left(fleet, inside)]).toEqual([3, 10]);
  expect(await take(both, 'b', [inside, outside], [1, 1, 4])).toMatchObject({ refusedBy: 2 });
  expect([await left(own, outside), await left(fleet, inside)]).toEqual([3, 10]);
});
