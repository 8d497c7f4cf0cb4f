import { err, ok, type Result } from '../kernel/index.ts';

/**
 * How one meter counts, made ready for integers.
 *
 * - `rate`: GCRA. The state is one whole number, *ahead*: by how much what was taken runs ahead of the clock, in ticks. A unit
 *   costs `ticksPerUnit`, a clock step gives `ticksPerStep` back. 7 a minute is not a whole number of µs apart, 60 M tokens a
 *   minute are less than one: with 1 µs = 7 ticks and a unit = 60,000,000 ticks both are exact, and no time is ever rounded.
 * - `calendar`: a count that begins anew with each UTC day or month.
 * - `places`: a count of places held now.
 * - `unlimited`: nothing; where a rule of the scope does not apply to a subject.
 */
export interface Rate {
  readonly kind: RateKind;
  /** Whole units in a window (`places`: at once). */
  readonly limit: number;
  /** Most whole units at once after idling. */
  readonly burst: number;
  /** `rate`: µs. */
  readonly windowUs: number;
  /** `rate`: µs in a step of the clock, 1 wherever the numbers stay below 2^53, else 1,000 or 1,000,000. */
  readonly stepUs: number;
  readonly ticksPerStep: number;
  readonly ticksPerUnit: number;
  readonly burstTicks: number;
  /** `rate`: no state is further ahead than this: the burst, and a debt of one window's worth. What is beyond is forgiven. */
  readonly aheadMax: number;
}

/** Numbers rather than words: they are compared sixteen times a decision. */
export const RATE_KINDS = { unlimited: 0, rate: 1, day: 2, month: 3, places: 4 } as const;
export type RateKind = (typeof RATE_KINDS)[keyof typeof RATE_KINDS];

/** State of a row is kept relative to an epoch this long, so that it has room however long the process lives. */
export const EPOCH_US = 4_000_000;
const STEPS_US = [1, 1_000, 1_000_000] as const;
/** Units that a calendar count may reach: the rest of the 53 bits names its period. */
const CALENDAR_UNITS_MAX = 2 ** 43 - 1;

export type RateSpec =
  | { readonly kind: 'rate'; readonly limit: number; readonly windowUs: number; readonly burst: number }
  | { readonly kind: 'day' | 'month' | 'places'; readonly limit: number };

/**
 * Makes a limit ready for exact integers.
 * @param spec - limit and burst in whole units, 0 to 1e12 (0 refuses all); the window in whole µs, 1 ms to 366 days
 * @returns the rate, or why it cannot be kept exactly, in words for whoever configured it
 */
export function compileRate(spec: RateSpec): Result<Rate, string> {
  if (spec.kind !== 'rate') {
    if (spec.kind !== 'places' && spec.limit > CALENDAR_UNITS_MAX)
      return err(`a limit of ${spec.limit} a ${spec.kind} is more than ${CALENDAR_UNITS_MAX} can count`);
    return ok({ ...UNLIMITED, kind: RATE_KINDS[spec.kind], limit: spec.limit, burst: spec.limit, aheadMax: spec.limit });
  }
  const { limit, windowUs, burst } = spec;
  // Nothing is ever given back, so anything is more than the burst of nothing.
  if (limit === 0 || burst === 0) return ok({ ...UNLIMITED, kind: RATE_KINDS.places, limit: 0, burst: 0, aheadMax: 0 });
  for (const stepUs of STEPS_US) {
    if (windowUs % stepUs !== 0) continue;
    const windowSteps = windowUs / stepUs;
    const common = gcd(limit, windowSteps);
    const ticksPerStep = limit / common;
    const ticksPerUnit = windowSteps / common;
    const burstTicks = burst * ticksPerUnit;
    const windowTicks = windowSteps * ticksPerStep;
    const epochTicks = (EPOCH_US / stepUs) * ticksPerStep;
    // The largest sum that is ever made: a state at its furthest, one more cost, and the clock within its epoch.
    if (2 * burstTicks + windowTicks + 2 * epochTicks > Number.MAX_SAFE_INTEGER) continue;
    return ok({
      kind: RATE_KINDS.rate,
      limit,
      burst,
      windowUs,
      stepUs,
      ticksPerStep,
      ticksPerUnit,
      burstTicks,
      aheadMax: burstTicks + windowTicks,
    });
  }
  return err(
    `${limit} in ${windowUs / 1e6} s with a burst of ${burst} cannot be kept exactly in 53 bits: choose a rounder limit (one that shares factors with the window) or a shorter window`,
  );
}

/** A meter that never refuses and keeps nothing. */
export const UNLIMITED: Rate = {
  kind: RATE_KINDS.unlimited,
  limit: 0,
  burst: 0,
  windowUs: 0,
  stepUs: 1,
  ticksPerStep: 0,
  ticksPerUnit: 0,
  burstTicks: 0,
  aheadMax: 0,
};

/**
 * How many whole units a meter has left.
 * @param ahead - its state now: ticks ahead for a rate, units counted for a calendar, places held
 * @returns 0 or more; Infinity for a meter that never refuses
 */
export function unitsLeft(rate: Rate, ahead: number): number {
  switch (rate.kind) {
    case RATE_KINDS.unlimited:
      return Infinity;
    case RATE_KINDS.rate:
      return Math.max(0, Math.floor((rate.burstTicks - Math.max(0, ahead)) / rate.ticksPerUnit));
    default:
      return Math.max(0, rate.limit - ahead);
  }
}

/** µs until a rate's meter is full again; 0 for anything that is not refilled by time. */
export function usUntilFull(rate: Rate, ahead: number): number {
  return rate.kind === RATE_KINDS.rate && ahead > 0 ? Math.ceil(ahead / rate.ticksPerStep) * rate.stepUs : 0;
}

function gcd(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y > 0) [x, y] = [y, x % y];
  return x;
}
