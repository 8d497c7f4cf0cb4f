import { RATE_KINDS, type MeterGroup } from '#core/limits';
import type { Settlement, TakeRequest } from '../limits-port.ts';

/** A request that was admitted and has not ended. */
export interface Held {
  /** The last settlement that was applied. */
  step: number;
  readonly takenAtUs: number;
  /** Flat: places that were taken; null when none of its limits counts places. */
  readonly places: Float64Array | null;
}

/**
 * What a request just admitted holds.
 * @param wasCharged - at a flat place, false where a rule in dry run would have refused
 */
export function heldBy({ groups, costs }: TakeRequest, takenAtUs: number, wasCharged: (place: number) => boolean): Held {
  let places: Float64Array | null = null;
  let place = 0;
  for (const { rates } of groups)
    for (let of = 0; of < rates.length; of++, place++) {
      if (rates[of]?.kind !== RATE_KINDS.places || costs[place] === 0 || !wasCharged(place)) continue;
      places ??= new Float64Array(costs.length);
      places[place] = costs[place] as number;
    }
  return { step: 0, takenAtUs, places };
}

/**
 * Moves a held request on to a settlement's step.
 * @returns what is to be added to its meters, the places it gives back among them; null when that was done before
 */
export function advance(held: Held, { step, deltas, isLast }: Settlement): Float64Array | null {
  if (step <= held.step) return null;
  held.step = step;
  if (!isLast || held.places === null) return deltas;
  return deltas.map((delta, place) => delta - (held.places?.[place] ?? 0));
}

/** Has an ask a rule in dry run that counts places? Whether such a place was taken must be looked at. */
export function hasDryPlaces(groups: readonly MeterGroup[]): boolean {
  return groups.some(({ rates, scope }) =>
    rates.some((rate, of) => rate.kind === RATE_KINDS.places && scope.rules[of]?.isDryRun === true),
  );
}
