import { chargedShare, refilled, untouchedShare, type Rate } from '#core/limits';

/** What was taken of this gateway's own part of one subject's meters, in one absence of the store. */
export class OwnPart {
  readonly #sinceUs: number;
  /** State of each meter, and when; untouched since the absence began where that is -1. */
  readonly #ahead: number[];
  readonly #atUs: number[];

  constructor(count: number, sinceUs: number) {
    this.#sinceUs = sinceUs;
    this.#ahead = Array.from({ length: count }, () => 0);
    this.#atUs = Array.from({ length: count }, () => -1);
  }

  isOf(sinceUs: number): boolean {
    return this.#sinceUs === sinceUs;
  }

  ahead(of: number, share: Rate, nowUs: number): number {
    if (this.#atUs[of] === -1) return untouchedShare(share, nowUs - this.#sinceUs);
    return refilled(share, this.#ahead[of] as number, nowUs - (this.#atUs[of] as number));
  }

  charge(of: number, share: Rate, units: number, nowUs: number): void {
    this.#ahead[of] = chargedShare(share, this.ahead(of, share, nowUs), units);
    // Whole steps alone have refilled; what is over of one counts later.
    const fromUs = this.#atUs[of] === -1 ? this.#sinceUs : (this.#atUs[of] as number);
    this.#atUs[of] = nowUs - ((nowUs - fromUs) % share.stepUs);
  }
}
