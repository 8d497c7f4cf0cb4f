import type { WhenAway } from '#contracts/measures';
import { localShare } from './local-share.ts';
import type { Rule } from './meters.ts';
import { RATE_KINDS, type Rate } from './rate.ts';

export interface FleetShape {
  /** Gateways that share the store, 1 up. */
  readonly gateways: number;
  readonly leaseMs: number;
  readonly placesLeaseMs: number;
  /** Whole units that a stream may give out before they are charged. */
  readonly chargeStep: number;
}

/** How far from its word a limit can be across a fleet, in whole units of what it counts. */
export interface Bounds {
  readonly overshoot: {
    /** While the store answers. 0, but for output that is charged as it streams: then so much for each stream under way. */
    readonly answering: number;
    readonly answeringPerStream: number;
    /** While it is away for all, by the rule's mode, at any moment; Infinity where the rule is named open. */
    readonly away: number;
    /** While it is away for some and answers others: so much a window for each gateway that is cut off. */
    readonly awayPerCutOff: number;
    /** After it lost what it had acknowledged: a flush, a primary lost before its replica had heard. Once for each loss. */
    readonly afterLoss: number;
  };
  /** Most units that lie unspent in shares and allotments, not to be had elsewhere until they run out. */
  readonly stranded: number;
  /** Units of the burst that are held back while shares are out, because those may be spent up to a lease late. */
  readonly heldBack: number;
  /** How old a gateway's knowledge of what is left may be: what headers show, and when a place of a lost gateway comes free. */
  readonly stalenessMs: number;
  readonly lostPlaceMs: number;
}

/** The bounds of one rule on one subject; `docs/limits.md` says why each holds, and which test shows it. */
export function boundsOf(rule: Rule, rate: Rate, fleet: FleetShape): Bounds {
  const isPlaces = rate.kind === RATE_KINDS.places;
  const answeringPerStream = rule.isMetered ? fleet.chargeStep : 0;
  const leaseSteps = Math.ceil((fleet.leaseMs * 1000) / rate.stepUs);
  const heldBack =
    rule.isLeased && rate.kind === RATE_KINDS.rate
      ? Math.min(rate.burst, Math.ceil((leaseSteps * rate.ticksPerStep) / rate.ticksPerUnit))
      : 0;
  return {
    overshoot: {
      answering: 0,
      answeringPerStream,
      ...overshootAway(rule.whenAway, rate, fleet.gateways),
      afterLoss: rate.kind === RATE_KINDS.unlimited ? 0 : rate.burst,
    },
    // Each share is at most an even part of half of what is left.
    stranded: rule.isLeased ? Math.floor((rate.burst - heldBack) / 2) : 0,
    heldBack,
    stalenessMs: rule.isLeased ? (isPlaces ? fleet.placesLeaseMs : fleet.leaseMs) : 0,
    lostPlaceMs: isPlaces ? fleet.placesLeaseMs : 0,
  };
}

function overshootAway(mode: WhenAway, rate: Rate, gateways: number): { readonly away: number; readonly awayPerCutOff: number } {
  if (rate.kind === RATE_KINDS.unlimited || mode === 'closed') return { away: 0, awayPerCutOff: 0 };
  if (mode === 'open') return { away: Infinity, awayPerCutOff: Infinity };
  const part = localShare(rate, gateways);
  // A rate's shares start empty: whatever had been used, less passes than is refilled. The least share is one unit, though.
  if (rate.kind === RATE_KINDS.rate) return { away: Math.max(0, gateways * part.burst - rate.burst), awayPerCutOff: part.limit };
  // One may hold every place already when the others begin to use their parts. A day's part is spread over the day.
  return { away: (rate.kind === RATE_KINDS.places ? gateways - 1 : gateways) * part.limit, awayPerCutOff: part.limit };
}
