import type { Refusal } from '#contracts/errors';
import { settlingDeltas, unitsLeft, unitsOf, type Amounts, type MeterGroup } from '#core/limits';
import type { Price } from '#core/pricing';
import type { LimitAnswer, LimitStore } from '#storage';
import { refusalOfHardStop } from './refusals.ts';

/** Output is charged while it streams each time that so many tokens or so much time have gone by: the step of any overshoot. */
export const CHARGE_TOKENS = 64;
const CHARGE_US = 250_000;

export interface AdmittedOptions {
  readonly id: string;
  readonly groups: readonly MeterGroup[];
  /** Flat, whole units taken at admission. */
  readonly costs: Float64Array;
  readonly answer: LimitAnswer;
  readonly store: LimitStore;
  readonly price: Price | null;
  readonly expectedInput: number;
  readonly nowUs: number;
}

/** What a request that was let in has taken of its limits, from admission to settlement. */
export class Admitted {
  readonly groups: readonly MeterGroup[];
  /** Flat states of its meters as of the last answer of the store. */
  ahead: Float64Array;
  readonly #id: string;
  readonly #store: LimitStore;
  readonly #price: Price | null;
  readonly #charged: Float64Array;
  readonly #expectedInput: number;
  readonly #isMetered: boolean;
  #step = 0;
  #chargedTokens = 0;
  #chargedUs: number;
  #stop: Refusal | null = null;

  constructor({ id, groups, costs, answer, store, price, expectedInput, nowUs }: AdmittedOptions) {
    this.groups = groups;
    this.ahead = answer.ahead;
    this.#id = id;
    this.#store = store;
    this.#price = price;
    this.#charged = costs;
    this.#expectedInput = expectedInput;
    this.#chargedUs = nowUs;
    this.#isMetered = groups.some(({ scope }) => scope.rules.some((rule) => rule.isMetered));
  }

  /**
   * Charges what has streamed so far, where a limit is metered and a step is full.
   * @returns why the stream must end here, where a limit is used up and says so
   */
  onOutput(outputTokens: number, nowUs: number): Refusal | null {
    if (!this.#isMetered || this.#stop !== null) return this.#stop;
    const more = outputTokens - this.#chargedTokens;
    if (more <= 0 || (more < CHARGE_TOKENS && nowUs - this.#chargedUs < CHARGE_US)) return null;
    this.#chargedTokens = outputTokens;
    this.#chargedUs = nowUs;
    const deltas = new Float64Array(this.#charged.length);
    const amounts: Amounts = { input: this.#expectedInput, cacheRead: 0, cacheWrite: 0, output: outputTokens };
    this.#eachMeter((rule, place) => {
      if (!rule.isMetered) return;
      deltas[place] = Math.max(0, unitsOf(rule, amounts, this.#price) - (this.#charged[place] as number));
      this.#charged[place] = (this.#charged[place] as number) + (deltas[place] as number);
    });
    const answer = this.#store.settle({ id: this.#id, groups: this.groups, step: ++this.#step, deltas, isLast: false });
    // A store that must be asked answers while the stream goes on: the next piece of it then finds the stop.
    if (answer instanceof Promise) void answer.then((settled) => this.#take(settled)); // never rejects
    else this.#take(answer);
    return this.#stop;
  }

  /** Settles against the truth, and gives every place back. Called once. */
  settle(amounts: Amounts, { wasAnswered }: { readonly wasAnswered: boolean }): void {
    if (this.groups.length === 0) return;
    const deltas = new Float64Array(this.#charged.length);
    settlingDeltas(this.groups, { amounts, price: this.#price, charged: this.#charged, wasAnswered }, deltas);
    const answer = this.#store.settle({ id: this.#id, groups: this.groups, step: ++this.#step, deltas, isLast: true });
    if (!(answer instanceof Promise)) this.ahead = answer.ahead;
  }

  #take(answer: LimitAnswer): void {
    this.ahead = answer.ahead;
    this.#eachMeter((rule, place, rate) => {
      if (rule.hardStop && !rule.isDryRun && unitsLeft(rate, this.ahead[place] as number) === 0)
        this.#stop ??= refusalOfHardStop(this.groups, place);
    });
  }

  #eachMeter(
    visit: (rule: MeterGroup['scope']['rules'][number], place: number, rate: MeterGroup['rates'][number]) => void,
  ): void {
    let place = 0;
    for (const { scope, rates } of this.groups)
      for (const [of, rule] of scope.rules.entries()) visit(rule, place++, rates[of] as MeterGroup['rates'][number]);
  }
}
