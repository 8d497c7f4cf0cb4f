import {
  chargedShare,
  leaseWish,
  RATE_KINDS,
  refilled,
  sparePlaces,
  type Demand,
  type MeterGroup,
  type Rate,
  type Rule,
} from '#core/limits';
import { OwnPart } from './own-part.ts';
import { Shares } from './shares.ts';

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
  /** null until there is one. A row is made for every subject that comes, and most are used once: what it may never need is not made. */
  #shares: Shares | null = null;
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
  /** Of the last absence of the store in which something was taken. */
  #apart: OwnPart | null = null;
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
    const zeros = Array.from({ length: count }, () => 0);
    // Copies, which are made in a tenth of the time.
    const numbers = (): number[] => zeros.slice();
    this.group = group;
    this.#leases = leases;
    [this.inUse, this.allotted, this.asking] = [numbers(), numbers(), numbers()];
    [this.#known, this.owed, this.#units, this.#unitsBefore] = [numbers(), numbers(), numbers(), numbers()];
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
    return this.#shares?.unspent(of, nowUs) ?? 0;
  }

  /** Can `units` be taken here, from what the store has been charged already? */
  covers(of: number, units: number, nowUs: number): boolean {
    if (this.isPlaces(of))
      return (this.inUse[of] as number) + units <= (this.allotted[of] as number) && nowUs < this.placesUntilUs;
    return this.unspent(of, nowUs) >= units;
  }

  /** @param units - no more than {@link unspent} */
  spend(of: number, units: number, nowUs: number): void {
    this.#shares?.spend(of, units, nowUs);
  }

  /** A share that the store was charged for no earlier than `sentAtUs`. */
  receive(of: number, units: number, sentAtUs: number, nowUs: number): void {
    const untilUs = sentAtUs + this.#leases.leaseUs;
    if (units <= 0 || untilUs <= nowUs) return;
    this.#shares ??= new Shares(this.owed.length, this.#leases.leaseUs);
    this.#returnShare(of, 'over', nowUs);
    this.#shares.receive(of, units, untilUs, nowUs);
  }

  /** Owes the store what is left of shares: of all, or of those whose time is over. */
  returnShares(which: 'all' | 'over', nowUs: number): void {
    for (let of = 0; of < this.owed.length; of++) this.#returnShare(of, which, nowUs);
  }

  #returnShare(of: number, which: 'all' | 'over', nowUs: number): void {
    const giveBack = (units: number, chargedAtUs: number): void => this.owe(of, -units, chargedAtUs);
    this.#shares?.forgo(of, { rate: this.rate(of), nowUs, which, giveBack });
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
    return this.#apartOf(sinceUs).ahead(of, share, nowUs);
  }

  chargeApart(of: number, share: Rate, units: number, sinceUs: number, nowUs: number): void {
    this.#apartOf(sinceUs).charge(of, share, units, nowUs);
  }

  #apartOf(sinceUs: number): OwnPart {
    if (!this.#apart?.isOf(sinceUs)) this.#apart = new OwnPart(this.owed.length, sinceUs);
    return this.#apart;
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
      (this.#shares?.areSpent() ?? true)
    );
  }
}

/** A state of `rate` that shows so many units left: for a header, where what is left is not the store's to say. */
export function aheadShowing(rate: Rate, left: number): number {
  const units = Math.min(left, rate.burst);
  return rate.kind === RATE_KINDS.rate ? rate.burstTicks - units * rate.ticksPerUnit : Math.max(0, rate.limit - units);
}
