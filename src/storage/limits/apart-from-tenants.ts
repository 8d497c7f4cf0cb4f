import { countMeters, RATE_KINDS, type MeterGroup } from '#core/limits';
import type { LimitAnswer, LimitStore } from '../limits-port.ts';

/** The name of no organization: subjects that are not inside any, such as an address before anybody is known. */
export const NO_TENANT = '-';

/**
 * Counts what is outside any organization in this gateway alone, and the rest where the fleet counts: guards by address need no
 * shared store, and everything that a store is asked about belongs to one organization, which is what a cluster can do at once.
 *
 * A request that the fleet refuses gives back what the gateway's own meters had let pass.
 */
export function keepApartFromTenants({ own, fleet }: { readonly own: LimitStore; readonly fleet: LimitStore }): LimitStore {
  const both = async (
    groups: readonly MeterGroup[],
    ask: (store: LimitStore, part: Part) => LimitAnswer | Promise<LimitAnswer>,
    undo?: (part: Part) => LimitAnswer | Promise<LimitAnswer>,
  ): Promise<LimitAnswer> => {
    const [outside, inside] = partsOf(groups);
    const first = await ask(own, outside);
    const ahead = new Float64Array(countMeters(groups));
    outside.places.forEach((place, at) => (ahead[place] = first.ahead[at] as number));
    if (first.refusedBy !== -1) return { ...first, refusedBy: outside.places[first.refusedBy] as number, ahead };
    const second = await ask(fleet, inside);
    inside.places.forEach((place, at) => (ahead[place] = second.ahead[at] as number));
    if (second.refusedBy === -1) return { ...second, ahead };
    await undo?.(outside);
    return { ...second, refusedBy: inside.places[second.refusedBy] as number, ahead };
  };
  return {
    take(request) {
      const only = onlyStore(request.groups, own, fleet);
      if (only !== null) return only.take(request);
      return both(
        request.groups,
        (store, part) => store.take({ id: request.id, groups: part.groups, costs: picked(request.costs, part) }),
        (part) =>
          own.settle({
            id: request.id,
            groups: part.groups,
            step: 1,
            deltas: returned(request.costs, part),
            isLast: true,
          }),
      );
    },
    settle(settlement) {
      const only = onlyStore(settlement.groups, own, fleet);
      if (only !== null) return only.settle(settlement);
      return both(settlement.groups, (store, part) =>
        store.settle({ ...settlement, groups: part.groups, deltas: picked(settlement.deltas, part) }),
      );
    },
    peek(groups) {
      const only = onlyStore(groups, own, fleet);
      return only !== null ? only.peek(groups) : both(groups, (store, part) => store.peek(part.groups));
    },
    status: () => {
      const [here, there] = [own.status(), fleet.status()];
      return { ...there, wouldHaveRefused: new Map([...there.wouldHaveRefused, ...here.wouldHaveRefused]) };
    },
    async close() {
      await Promise.all([own.close(), fleet.close()]);
    },
  };
}

/** The groups of one store, and the flat places of their meters among all. */
interface Part {
  readonly groups: readonly MeterGroup[];
  readonly places: readonly number[];
  readonly isPlace: readonly boolean[];
}

function onlyStore(groups: readonly MeterGroup[], own: LimitStore, fleet: LimitStore): LimitStore | null {
  let outside = 0;
  for (const group of groups) if (group.tenant === NO_TENANT) outside++;
  return outside === 0 ? fleet : outside === groups.length ? own : null;
}

function partsOf(groups: readonly MeterGroup[]): readonly [outside: Part, inside: Part] {
  const parts = [true, false].map((isOutside): Part => {
    const part = { groups: [] as MeterGroup[], places: [] as number[], isPlace: [] as boolean[] };
    let place = 0;
    for (const group of groups) {
      const isOurs = (group.tenant === NO_TENANT) === isOutside;
      if (isOurs) part.groups.push(group);
      for (const { kind } of group.rates) {
        if (isOurs) {
          part.places.push(place);
          part.isPlace.push(kind === RATE_KINDS.places);
        }
        place++;
      }
    }
    return part;
  });
  return [parts[0] as Part, parts[1] as Part];
}

const picked = (numbers: Float64Array, { places }: Part): Float64Array =>
  Float64Array.from(places, (place) => numbers[place] as number);

/** Places go back with the end of a request; they are not part of what is corrected. */
const returned = (costs: Float64Array, { places, isPlace }: Part): Float64Array =>
  Float64Array.from(places, (place, at) => (isPlace[at] ? 0 : -(costs[place] as number)));
