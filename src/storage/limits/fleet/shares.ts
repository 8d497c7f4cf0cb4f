import { RATE_KINDS, unitsToReturn, type Rate } from '#core/limits';

interface Forgoing {
  readonly rate: Rate;
  readonly nowUs: number;
  readonly which: 'all' | 'over';
  readonly giveBack: (units: number, chargedAtUs: number) => void;
}

/** Units of one subject's meters, taken in advance. Two shares of each meter, so that a new one need not shorten the old. */
export class Shares {
  readonly #leaseUs: number;
  /** Unspent units, and until when they may be spent. */
  readonly #old: number[];
  readonly #oldUntilUs: number[];
  readonly #new: number[];
  readonly #newUntilUs: number[];

  constructor(count: number, leaseUs: number) {
    // Plain arrays: there are many, and small typed arrays are three times as large.
    const zeros = Array.from({ length: count }, () => 0);
    this.#leaseUs = leaseUs;
    [this.#old, this.#oldUntilUs, this.#new, this.#newUntilUs] = [zeros, zeros.slice(), zeros.slice(), zeros.slice()];
  }

  unspent(of: number, nowUs: number): number {
    return (
      (nowUs < (this.#oldUntilUs[of] as number) ? (this.#old[of] as number) : 0) +
      (nowUs < (this.#newUntilUs[of] as number) ? (this.#new[of] as number) : 0)
    );
  }

  /** @param units - no more than {@link unspent} */
  spend(of: number, units: number, nowUs: number): void {
    const fromOld = nowUs < (this.#oldUntilUs[of] as number) ? Math.min(units, this.#old[of] as number) : 0;
    this.#old[of] = (this.#old[of] as number) - fromOld;
    this.#new[of] = (this.#new[of] as number) - (units - fromOld);
  }

  /** A share that the store was charged for no earlier than a lease before `untilUs`. */
  receive(of: number, units: number, untilUs: number, nowUs: number): void {
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

  /**
   * Gives up what is unspent, or of that only what may not be spent any more. Left where it is, a subject that is never left alone
   * would lose that: for a while of a rate, for good of a day or a month.
   * @param giveBack - told of the units to give back to the store, and since when they have been charged at the earliest
   */
  forgo(of: number, { rate, nowUs, which, giveBack }: Forgoing): void {
    for (const [unspent, untilUs] of [
      [this.#old, this.#oldUntilUs],
      [this.#new, this.#newUntilUs],
    ] as const) {
      const overAtUs = untilUs[of] as number;
      if (unspent[of] === 0 || (which === 'over' && nowUs < overAtUs)) continue;
      const units = this.#returned(unspent[of] as number, overAtUs, rate, nowUs);
      unspent[of] = 0;
      if (units > 0) giveBack(units, overAtUs - this.#leaseUs);
    }
  }

  /** What of a share goes back that runs out, or ran out, at `untilUs`. */
  #returned(units: number, untilUs: number, rate: Rate, nowUs: number): number {
    const unitsPerUs = rate.kind === RATE_KINDS.rate ? rate.ticksPerStep / rate.stepUs / rate.ticksPerUnit : 0;
    return unitsToReturn(units, nowUs - untilUs + this.#leaseUs, unitsPerUs);
  }

  areSpent(): boolean {
    return this.#old.every((units) => units <= 0) && this.#new.every((units) => units <= 0);
  }
}
