import type { Amounts } from './amounts.ts';

/** How a key calls these days: exponential averages over its requests, so that one can say which of its limits comes first. */
export interface Mix {
  /** Monotonic µs of the last request. */
  readonly atUs: number;
  readonly requestsPerSecond: number;
  /** Mean of a request: whole tokens by kind, and micro-dollars. */
  readonly mean: Amounts & { readonly costMicroUsd: number };
}

const TIME_CONSTANT_S = 60;
const WEIGHT = 0.1;

/** Takes one more request into the mix; `before` is undefined for the first. */
export function mixAfter(before: Mix | undefined, amounts: Amounts & { readonly costMicroUsd: number }, nowUs: number): Mix {
  if (before === undefined) return { atUs: nowUs, requestsPerSecond: 1 / TIME_CONSTANT_S, mean: amounts };
  const blend = (old: number, seen: number): number => old + WEIGHT * (seen - old);
  const { mean } = before;
  return {
    atUs: Math.max(before.atUs, nowUs),
    requestsPerSecond: rateAt(before, nowUs) + 1 / TIME_CONSTANT_S,
    mean: {
      input: blend(mean.input, amounts.input),
      cacheRead: blend(mean.cacheRead, amounts.cacheRead),
      cacheWrite: blend(mean.cacheWrite, amounts.cacheWrite),
      output: blend(mean.output, amounts.output),
      costMicroUsd: blend(mean.costMicroUsd, amounts.costMicroUsd),
    },
  };
}

/** Requests a second as of now: it fades while nothing comes. Source: the exponential moving average of a point process. */
export function rateAt({ atUs, requestsPerSecond }: Mix, nowUs: number): number {
  return requestsPerSecond * Math.exp(-Math.max(0, nowUs - atUs) / (TIME_CONSTANT_S * 1e6));
}
