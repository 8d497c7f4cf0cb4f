import {
  chargedShare,
  leaseWish,
  RATE_KINDS,
  refilled,
  sparePlaces,
  unitsToReturn,
  untouchedShare,
  type Demand,
  type MeterGroup,
  type Rate,
  type Rule,
} from '#core/limits';

/** How long shares and places last, in µs. */
export interface Leases {
  readonly leaseUs: number;
  readonly placesLeaseUs: number;
}

/** An ask that the store refused: the same one again is sure to be refused until then, if nothing is given back. */
export interface Refusal {
  readonly rows: readonly SubjectRow[];
  readonly costs: Float64Array;
  readonly refusedBy: number;
  /** When it would be taken, and until when it is refused here without asking again. */
  readonly takenAtUs: number;
  readonly untilUs: number;
}

/**
 * What one gateway has of one subject's meters: shares taken in advance, places, what it last heard, what it owes the store.
 * Only arithmetic is here; who asks the store, and when, is not.
 */
export class SubjectRow {
  group: MeterGroup;
  readonly #leases: Leases;
  /** Unspent units, and until when they may be spent. Two shares of each meter, so that a new one need not shorten the old. */
  readonly #old: number[];
  readonly #oldUntilUs: number[];
  readonly #new: number[];
  readonly #newUntilUs: number[];
  /** Of places: used by requests; held at the store, free ones included; asked for and not answered yet. */
  readonly inUse: number[];
  readonly allotted: number[];
  readonly asking: number[];
  /** Until when the store remembers the places that are free here. */
  placesUntilUs = 0;
  /** Does the store think of another number of places than is held? */
  arePlacesStale = false;
  /** State of each meter as last heard, and when. */
  readonly #known: number[];
  #knownAtUs = 0;
  /** Signed units to settle, flat within the group; and since when the oldest of them was charged. */
  readonly owed: number[];
  isOwing = false;
  owedSinceUs = 0;
  /** What was taken of this gateway's own part while the store is away; of which absence. */
  readonly #apart: number[];
  readonly #apartAtUs: number[];
  #apartSinceUs = -1;
  readonly #units: number[];
  readonly #unitsBefore: number[];
  #asks = 0;
  #asksBefore = 0;
  #demandSinceUs: number;
  /** What the store last refused because of this subject. */
  refusal: Refusal | null = null;
  /** Operations under way that wish for shares of it: one at a time does. */
  isWishing = false;
  usedAtUs: number;

  constructor(group: MeterGroup, leases: Leases, nowUs: number) {
    const count = group.rates.length;
    // Plain arrays: there are many rows, and small typed arrays are three times as large.
    const numbers = (): number[] => Array.from({ length: count }, () => 0);
    this.group = group;
    this.#leases = leases;
    [this.#old, this.#oldUntilUs, this.#new, this.#newUntilUs] = [numbers(), numbers(), numbers(), numbers()];
    [this.inUse, this.allotted, this.asking] = [numbers(), numbers(), numbers()];
    [this.#known, this.owed, this.#apart, this.#apartAtUs] = [numbers(), numbers(), numbers(), numbers()];
    [this.#units, this.#unitsBefore] = [numbers(), numbers()];
    this.usedAtUs = nowUs;
    this.#demandSinceUs = nowUs;
  }

  is(group: MeterGroup): boolean {
    const own = this.group;
    return (
      own.subject === group.subject &&
      own.tenant === group.tenant &&
      own.scope.id === group.scope.id &&
      own.rates.length === group.rates.length
    );
  }

  rate(of: number): Rate {
    return this.group.rates[of] as Rate;
  }

  rule(of: number): Rule {
    return this.group.scope.rules[of] as Rule;
  }

  isPlaces(of: number): boolean {
    return this.rate(of).kind === RATE_KINDS.places;
  }

  /** Counts an ask; what the next lease needs is guessed from it. */
  countAsk(costs: Float64Array, from: number, nowUs: number): void {
    const passedUs = nowUs - this.#demandSinceUs;
    if (passedUs >= this.#leases.leaseUs) {
      const isNext = passedUs < 2 * this.#leases.leaseUs;
      this.#asksBefore = isNext ? this.#asks : 0;
      this.#asks = 0;
      for (let of = 0; of < this.#units.length; of++) {
        this.#unitsBefore[of] = isNext ? (this.#units[of] as number) : 0;
        this.#units[of] = 0;
      }
      this.#demandSinceUs = nowUs;
    }
    this.usedAtUs = nowUs;
    this.#asks += 1;
    for (let of = 0; of < this.#units.length; of++) this.#units[of] = (this.#units[of] as number) + (costs[from + of] as number);
  }

  /** More of a meter than was asked for at first: output that is charged as it streams. */
  countUnits(of: number, units: number): void {
    this.#units[of] = (this.#units[of] as number) + units;
  }

  /** Units to ask the store for in advance. */
  wish(of: number, nowUs: number): number {
    if (this.rule(of).isDryRun || this.rate(of).kind === RATE_KINDS.unlimited) return 0;
    const unspent = this.isPlaces(of) ? (this.allotted[of] as number) - (this.inUse[of] as number) : this.unspent(of, nowUs);
    return this.#expected(of, unspent, nowUs);
  }

  #expected(of: number, unspent: number, nowUs: number): number {
    const { leaseUs } = this.#leases;
    if (!this.rule(of).isLeased || leaseUs === 0) return 0;
    const demand: Demand = {
      units: this.#units[of] as number,
      asks: this.#asks,
      unitsBefore: this.#unitsBefore[of] as number,
      asksBefore: this.#asksBefore,
    };
    return leaseWish(demand, (nowUs - this.#demandSinceUs) / leaseUs, unspent);
  }

  unspent(of: number, nowUs: number): number {
    return (
      (nowUs < (this.#oldUntilUs[of] as number) ? (this.#old[of] as number) : 0) +
      (nowUs < (this.#newUntilUs[of] as number) ? (this.#new[of] as number) : 0)
    );
  }

  /** Can `units` be taken here, from what the store has been charged already? */
  covers(of: number, units: number, nowUs: number): boolean {
    if (this.isPlaces(of))
      return (this.inUse[of] as number) + units <= (this.allotted[of] as number) && nowUs < this.placesUntilUs;
    return this.unspent(of, nowUs) >= units;
  }

  /** @param units - no more than {@link unspent} */
  spend(of: number, units: number, nowUs: number): void {
    const fromOld = nowUs < (this.#oldUntilUs[of] as number) ? Math.min(units, this.#old[of] as number) : 0;
    this.#old[of] = (this.#old[of] as number) - fromOld;
    this.#new[of] = (this.#new[of] as number) - (units - fromOld);
  }

  /** A share that the store was charged for no earlier than `sentAtUs`. */
  receive(of: number, units: number, sentAtUs: number, nowUs: number): void {
    const untilUs = sentAtUs + this.#leases.leaseUs;
    if (units <= 0 || untilUs <= nowUs) return;
    const isNewLive = nowUs < (this.#newUntilUs[of] as number) && (this.#new[of] as number) > 0;
    if (isNewLive) {
      const isOldLive = nowUs < (this.#oldUntilUs[of] as number) && (this.#old[of] as number) > 0;
      const newUntilUs = this.#newUntilUs[of] as number;
      this.#old[of] = (this.#new[of] as number) + (isOldLive ? (this.#old[of] as number) : 0);
      this.#oldUntilUs[of] = isOldLive ? Math.min(this.#oldUntilUs[of] as number, newUntilUs) : newUntilUs;
    }
    this.#new[of] = units;
    this.#newUntilUs[of] = untilUs;
  }

  /** Gives up what is unspent. @returns the units to give back to the store */
  forgoShares(of: number, nowUs: number): number {
    const rate = this.rate(of);
    const unitsPerUs = rate.kind === RATE_KINDS.rate ? rate.ticksPerStep / rate.stepUs / rate.ticksPerUnit : 0;
    const { leaseUs } = this.#leases;
    const units =
      unitsToReturn(this.#old[of] as number, nowUs - (this.#oldUntilUs[of] as number) + leaseUs, unitsPerUs) +
      unitsToReturn(this.#new[of] as number, nowUs - (this.#newUntilUs[of] as number) + leaseUs, unitsPerUs);
    this.#old[of] = 0;
    this.#new[of] = 0;
    return units;
  }

  hasShares(): boolean {
    return this.#old.some((units) => units > 0) || this.#new.some((units) => units > 0);
  }

  /** Lets go of free places beyond what is likely to be needed here. */
  trimPlaces(of: number, gateways: number, nowUs: number): void {
    const spare = (this.allotted[of] as number) - (this.inUse[of] as number);
    if (spare <= 0) return;
    const free = Math.max(0, this.rate(of).limit - (this.#known[of] as number));
    const keep = sparePlaces(this.#expected(of, 0, nowUs), free, gateways);
    if (spare <= keep) return;
    this.allotted[of] = (this.inUse[of] as number) + keep;
    this.arePlacesStale = true;
  }

  /** The store was told at `sentAtUs` or after how many places are held here. */
  holdUntil(sentAtUs: number): void {
    this.placesUntilUs = Math.max(this.placesUntilUs, sentAtUs + this.#leases.placesLeaseUs);
  }

  /** The number of places to tell the store, none that may be granted just now left out. */
  placesToHold(of: number): number {
    this.allotted[of] = Math.max(this.allotted[of] as number, this.inUse[of] as number);
    return (this.allotted[of] as number) + (this.asking[of] as number);
  }

  /** Units to settle later; negative ones were charged at `chargedAtUs` or after. */
  owe(of: number, units: number, chargedAtUs: number): void {
    this.owed[of] = (this.owed[of] as number) + units;
    this.owedSinceUs = this.isOwing ? Math.min(this.owedSinceUs, chargedAtUs) : chargedAtUs;
    this.isOwing = true;
    if (units < 0) this.refusal = null;
  }

  hear(ahead: Float64Array, from: number, nowUs: number): void {
    for (let of = 0; of < this.#known.length; of++) this.#known[of] = ahead[from + of] as number;
    this.#knownAtUs = nowUs;
  }

  /** The state of a meter as far as it is known here: what is unspent at hand counts as left, what is owed as used. */
  ahead(of: number, nowUs: number): number {
    const rate = this.rate(of);
    const known = refilled(rate, this.#known[of] as number, nowUs - this.#knownAtUs);
    if (this.isPlaces(of)) return Math.max(0, known - Math.max(0, (this.allotted[of] as number) - (this.inUse[of] as number)));
    return chargedShare(rate, known, (this.owed[of] as number) - this.unspent(of, nowUs));
  }

  /** State of this gateway's own part of a meter, in the absence that began at `sinceUs`. */
  apart(of: number, share: Rate, sinceUs: number, nowUs: number): number {
    if (this.#apartSinceUs !== sinceUs) {
      this.#apartSinceUs = sinceUs;
      this.#apartAtUs.fill(-1);
    }
    if (this.#apartAtUs[of] === -1) return untouchedShare(share, nowUs - sinceUs);
    return refilled(share, this.#apart[of] as number, nowUs - (this.#apartAtUs[of] as number));
  }

  chargeApart(of: number, share: Rate, units: number, sinceUs: number, nowUs: number): void {
    this.#apart[of] = chargedShare(share, this.apart(of, share, sinceUs, nowUs), units);
    // Whole steps alone have refilled; what is over of one counts later.
    const fromUs = this.#apartAtUs[of] === -1 ? sinceUs : (this.#apartAtUs[of] as number);
    this.#apartAtUs[of] = nowUs - ((nowUs - fromUs) % share.stepUs);
  }

  /** May it be forgotten: nothing held, nothing owed, nothing under way? */
  isIdle(nowUs: number): boolean {
    return (
      nowUs - this.usedAtUs > 2 * this.#leases.leaseUs &&
      !this.isOwing &&
      !this.isWishing &&
      !this.arePlacesStale &&
      this.inUse.every((count) => count === 0) &&
      this.allotted.every((count) => count === 0) &&
      this.asking.every((count) => count === 0) &&
      !this.hasShares()
    );
  }
}

/** A state of `rate` that shows so many units left: for a header, where what is left is not the store's to say. */
export function aheadShowing(rate: Rate, left: number): number {
  const units = Math.min(left, rate.burst);
  return rate.kind === RATE_KINDS.rate ? rate.burstTicks - units * rate.ticksPerUnit : Math.max(0, rate.limit - units);
}
