/**
 * A rate limit on one subject, by GCRA in exact integers: `limitPerMinute` events in any minute, all of them at once if it has
 * been idle. The gap between two events is 60,000,000 / limit µs, which is rarely whole, so the moment at which the meter is
 * full again is kept as whole µs and a remainder in units of 1/limit µs.
 * Source: GCRA, ITU-T I.371.
 */
export interface RateMeter {
  /** Monotonic µs at which everything taken has been refilled. */
  readonly fullAtUs: number;
  /** 0 to limit − 1, in units of 1/limit µs, on top of `fullAtUs`. */
  readonly remainder: number;
}

export type Taken = { readonly kind: 'taken'; readonly meter: RateMeter } | { readonly kind: 'wait'; readonly waitUs: number };

const MINUTE_US = 60_000_000;

/**
 * Takes one event.
 * @param meter - what the last call returned; undefined for a subject not seen yet
 * @param limitPerMinute - whole events a minute, 1 to 1e9
 * @param nowUs - monotonic integer µs; a clock that stepped back refills nothing
 * @returns the meter to keep, or the wait after which the same call is sure to be taken and before which it is not
 */
export function takeOne(meter: RateMeter | undefined, limitPerMinute: number, nowUs: number): Taken {
  const isFull = meter === undefined || meter.fullAtUs < nowUs || (meter.fullAtUs === nowUs && meter.remainder === 0);
  const from = isFull ? { fullAtUs: nowUs, remainder: 0 } : meter;
  const gapUs = Math.floor(MINUTE_US / limitPerMinute);
  let remainder = from.remainder + (MINUTE_US - gapUs * limitPerMinute);
  let fullAtUs = from.fullAtUs + gapUs;
  if (remainder >= limitPerMinute) {
    remainder -= limitPerMinute;
    fullAtUs++;
  }
  const overUs = fullAtUs + (remainder > 0 ? 1 : 0) - (nowUs + MINUTE_US);
  if (overUs > 0) return { kind: 'wait', waitUs: overUs };
  return { kind: 'taken', meter: { fullAtUs, remainder } };
}
