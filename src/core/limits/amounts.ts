import { costMicroUsd, type Price } from '../pricing/index.ts';
import type { MeterGroup, Rule } from './meters.ts';
import { RATE_KINDS, type Rate } from './rate.ts';

/** Whole tokens that a request is charged for; what the engine said, or what is expected of it. */
export interface Amounts {
  /** Read by the engine and not from its cache. */
  readonly input: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly output: number;
}

/** What is known of a request before it is answered. */
export interface Expectation {
  /** Whole input tokens, as its bytes suggest. */
  readonly input: number;
  /** Whole output tokens, by each way of reserving them. */
  readonly output: { readonly [way in Rule['output']]: number };
  readonly price: Price | null;
}

/**
 * What a request costs on one rule's meter.
 * @returns whole units, 0 or more: requests, tokens, micro-dollars, or a place
 */
export function unitsOf(rule: Rule, amounts: Amounts, price: Price | null): number {
  const { input, cacheRead, cacheWrite, output } = amounts;
  // Rounded up, so that nothing that weighs something is free.
  const read = (): number => input + cacheWrite + Math.ceil(cacheRead * rule.cacheReadWeight);
  switch (rule.measure) {
    case 'requests':
    case 'concurrency':
      return 1;
    case 'input_tokens':
      return read();
    case 'output_tokens':
      return output;
    case 'total_tokens':
      return read() + output;
    case 'spend':
      return price === null ? 0 : costMicroUsd(price, amounts);
    case 'batch_queue':
      return 0; // held by a batch, not by the requests in it
  }
}

/**
 * What a request takes of each of its meters at admission.
 * An expectation is never more than the meter could ever give at once: it may be wrong, and settling corrects it.
 * @param into - flat, receives whole units
 */
export function expectedCosts(groups: readonly MeterGroup[], { input, output, price }: Expectation, into: Float64Array): void {
  let place = 0;
  for (const { scope, rates } of groups)
    for (let of = 0; of < rates.length; of++) {
      const rule = scope.rules[of] as Rule;
      const rate = rates[of] as Rate;
      const units = unitsOf(rule, { input, cacheRead: 0, cacheWrite: 0, output: output[rule.output] }, price);
      into[place++] = rate.kind === RATE_KINDS.unlimited ? 0 : atMostOnce(rule, rate, units);
    }
}

const atMostOnce = ({ measure }: Rule, { burst }: Rate, units: number): number =>
  measure === 'requests' || measure === 'concurrency' ? units : Math.min(units, Math.max(1, burst));

/**
 * What is still to be charged, or given back, once the truth is known.
 * @param charged - flat, whole units charged so far
 * @param into - flat, receives signed whole units; places are given back by the store itself and have none
 */
export function settlingDeltas(
  groups: readonly MeterGroup[],
  {
    amounts,
    price,
    charged,
    wasAnswered,
  }: {
    readonly amounts: Amounts;
    readonly price: Price | null;
    readonly charged: Float64Array;
    /** False for a request that no engine worked on: its request is given back too. */
    readonly wasAnswered: boolean;
  },
  into: Float64Array,
): void {
  let place = 0;
  for (const { scope, rates } of groups)
    for (let of = 0; of < rates.length; of++) {
      const rule = scope.rules[of] as Rule;
      const isCounted = rule.measure !== 'concurrency' && rule.measure !== 'batch_queue';
      const units = rule.measure === 'requests' && !wasAnswered ? 0 : unitsOf(rule, amounts, price);
      const isLimited = (rates[of] as Rate).kind !== RATE_KINDS.unlimited;
      into[place] = isLimited && isCounted ? units - (charged[place] as number) : 0;
      place++;
    }
}
