/** What one gateway was asked for of one meter, this lease and the one before. */
export interface Demand {
  readonly units: number;
  readonly asks: number;
  readonly unitsBefore: number;
  readonly asksBefore: number;
}

/** Fewer asks than this in a lease are cold: each goes to the store, and nothing is stranded for them. */
const WARM_ASKS = 4;

/**
 * How many units to take in advance: about what this gateway will be asked for within one lease. The store gives at most an even
 * part of half of what is left, so the last stretch goes one by one whatever is wished for.
 * @param passedRatio - how much of the present lease is over, 0 to 1
 * @param unspent - whole units that are still at hand
 * @returns whole units, 0 for a cold meter
 */
export function leaseWish(demand: Demand, passedRatio: number, unspent: number): number {
  if (Math.max(demand.asksBefore, demand.asks) < WARM_ASKS) return 0;
  // Too early in a lease, a few asks say little of its rest.
  const part = Math.max(0.25, Math.min(1, passedRatio));
  return Math.max(0, Math.floor(Math.max(demand.unitsBefore, demand.units / part)) - unspent);
}

/**
 * How many units of a share to give back before its time, so that nothing is given back twice: by the clock, a part has been
 * given back already, and a meter that was full in between kept none of it.
 * @param unspent - whole units of the share
 * @param ageUs - since before it was charged
 * @param unitsPerUs - what the meter refills; 0 for one that time does not refill
 */
export function unitsToReturn(unspent: number, ageUs: number, unitsPerUs: number): number {
  return Math.max(0, Math.floor(unspent - ageUs * unitsPerUs));
}

/**
 * How many free places a gateway may keep for itself.
 * @param wish - places it is likely to need in a lease
 * @param free - places nobody holds, as last heard
 */
export function sparePlaces(wish: number, free: number, gateways: number): number {
  return Math.max(0, Math.min(wish, Math.floor(free / (2 * gateways))));
}
