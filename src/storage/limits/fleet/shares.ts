import { RATE_KINDS, unitsToReturn, type Rate } from '#core/limits';

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

  /** Gives up what is unspent. @returns the units to give back to the store */
  forgo(of: number, rate: Rate, nowUs: number): number {
    const unitsPerUs = rate.kind === RATE_KINDS.rate ? rate.ticksPerStep / rate.stepUs / rate.ticksPerUnit : 0;
    const units =
      unitsToReturn(this.#old[of] as number, nowUs - (this.#oldUntilUs[of] as number) + this.#leaseUs, unitsPerUs) +
      unitsToReturn(this.#new[of] as number, nowUs - (this.#newUntilUs[of] as number) + this.#leaseUs, unitsPerUs);
    this.#old[of] = 0;
    this.#new[of] = 0;
    return units;
  }

  areSpent(): boolean {
    return this.#old.every((units) => units <= 0) && this.#new.every((units) => units <= 0);
  }
}
