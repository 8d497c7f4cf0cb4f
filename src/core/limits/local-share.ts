import { compileRate, RATE_KINDS, type Rate } from './rate.ts';

/** A gateway's part of a limit while the shared store is away: an even part of four fifths. */
const [SHARE_TIMES, SHARE_OVER] = [4, 5];
const DAY_US = 86_400_000_000;
const MONTH_US = 31 * DAY_US;

/**
 * What one of `gateways` may let pass by itself: 4/5 of the limit between them, one unit at least.
 *
 * Nobody knows how much had been used when the store went away, so a rate's share *starts empty* and only refills. Together the
 * gateways then let pass less than what the limit refills in the same time, and whatever the state of the store was, the limit
 * holds. A day or month counts like a rate over its whole length.
 * @param gateways - living ones as last heard, 1 up
 * @returns a rate in the same steps; of `places`, the most to hold here
 */
export function localShare(rate: Rate, gateways: number): Rate {
  const part = (units: number): number => Math.max(1, Math.floor((units * SHARE_TIMES) / (SHARE_OVER * gateways)));
  switch (rate.kind) {
    case RATE_KINDS.unlimited:
      return rate;
    case RATE_KINDS.places: {
      const limit = rate.limit === 0 ? 0 : part(rate.limit);
      return { ...rate, limit, burst: limit, aheadMax: limit };
    }
    case RATE_KINDS.rate:
      return scaled(rate, gateways, part(rate.burst), part(rate.limit));
    default: {
      const windowUs = rate.kind === RATE_KINDS.day ? DAY_US : MONTH_US;
      const spread = compileRate({ kind: 'rate', limit: rate.limit, windowUs, burst: rate.limit });
      return spread.ok && spread.value.kind === RATE_KINDS.rate
        ? scaled(spread.value, gateways, part(rate.limit), part(rate.limit))
        : { ...rate, kind: RATE_KINDS.places, limit: 0, burst: 0, aheadMax: 0 };
    }
  }
}

/** The same rate with dearer units: exactly where the numbers have room, else rounded against the caller. */
function scaled(rate: Rate, gateways: number, burst: number, limit: number): Rate {
  const exact = SHARE_OVER * gateways * rate.ticksPerUnit;
  const debtTicks = limit * exact;
  const fits = burst * exact * 2 + debtTicks <= Number.MAX_SAFE_INTEGER;
  const ticksPerUnit = fits ? exact : Math.ceil(exact / SHARE_TIMES);
  const ticksPerStep = fits ? rate.ticksPerStep * SHARE_TIMES : rate.ticksPerStep;
  const burstTicks = burst * ticksPerUnit;
  return { ...rate, limit, burst, ticksPerUnit, ticksPerStep, burstTicks, aheadMax: burstTicks + limit * ticksPerUnit };
}

/**
 * The state of a share that nothing was taken from.
 * @param awayUs - for how long the store has been away
 */
export function untouchedShare(share: Rate, awayUs: number): number {
  return share.kind === RATE_KINDS.rate ? refilled(share, share.burstTicks, awayUs) : 0;
}

/** A state after some time: whole steps of the clock alone refill. */
export function refilled(rate: Rate, ahead: number, passedUs: number): number {
  return rate.kind === RATE_KINDS.rate
    ? Math.max(0, ahead - Math.max(0, Math.floor(passedUs / rate.stepUs)) * rate.ticksPerStep)
    : ahead;
}

/**
 * µs until a share in this state lets `units` pass; 0 when it does now.
 * @returns Infinity when only the shared store could let so many pass, or when a place must come free
 */
export function shareWaitUs(share: Rate, ahead: number, units: number): number {
  if (share.kind === RATE_KINDS.unlimited) return 0;
  if (share.kind !== RATE_KINDS.rate) return ahead + units <= share.limit ? 0 : Infinity;
  if (units > share.burst) return Infinity;
  const over = ahead + units * share.ticksPerUnit - share.burstTicks;
  return over <= 0 ? 0 : Math.ceil(over / share.ticksPerStep) * share.stepUs;
}

/** A share with `units` more taken; debt is bounded as in any meter. */
export function chargedShare(share: Rate, ahead: number, units: number): number {
  if (share.kind !== RATE_KINDS.rate) return Math.max(0, ahead + units);
  const unitsMax = Math.ceil(share.aheadMax / share.ticksPerUnit);
  return Math.max(0, Math.min(share.aheadMax, ahead + Math.max(-unitsMax, Math.min(unitsMax, units)) * share.ticksPerUnit));
}
