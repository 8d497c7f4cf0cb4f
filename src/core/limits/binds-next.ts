import type { Rule } from './meters.ts';
import { rateAt, type Mix } from './mix.ts';
import { RATE_KINDS, unitsLeft, type Rate } from './rate.ts';

/** One meter as it stands. */
export interface MeterState {
  readonly rule: Rule;
  readonly subject: string;
  readonly rate: Rate;
  readonly ahead: number;
}

export interface BindsNext {
  readonly rule: string;
  readonly subject: string;
  readonly because: string;
}

/**
 * Which limit refuses first if a key goes on as it does, and why.
 * @param states - meters of one key's requests; those in dry run bind nobody
 * @param mix - how the key calls; undefined when it has not called since the start
 * @returns null when nothing limits it
 */
export function bindsNext(states: readonly MeterState[], mix: Mix | undefined, nowUs: number): BindsNext | null {
  let first: (BindsNext & { readonly inSeconds: number; readonly requests: number }) | null = null;
  for (const { rule, subject, rate, ahead } of states) {
    if (rate.kind === RATE_KINDS.unlimited || rule.isDryRun) continue;
    const cost = meanCost(rule, mix);
    const requests = Math.floor(unitsLeft(rate, ahead) / Math.max(cost, 1e-9));
    const perSecond = mix === undefined ? 0 : rateAt(mix, nowUs) * cost;
    const refill = rate.kind === RATE_KINDS.rate ? (rate.limit / rate.windowUs) * 1e6 : 0;
    const drain = rate.kind === RATE_KINDS.places ? 0 : perSecond - refill;
    const inSeconds = requests === 0 ? 0 : drain > 0 ? unitsLeft(rate, ahead) / drain : Infinity;
    if (first !== null && (inSeconds > first.inSeconds || (inSeconds === first.inSeconds && requests >= first.requests)))
      continue;
    first = { rule: rule.id, subject, inSeconds, requests, because: because(requests, inSeconds, cost, mix !== undefined) };
  }
  return first && { rule: first.rule, subject: first.subject, because: first.because };
}

function because(requests: number, inSeconds: number, cost: number, isSeen: boolean): string {
  const each = `${Math.ceil(cost).toLocaleString('en-US')} a request${isSeen ? ' on average' : ', nothing being known of this key yet'}`;
  if (requests === 0) return `it is used up now (${each})`;
  if (inSeconds < Infinity) return `at the present rate it is used up in ${inSeconds.toFixed(0)} s (${each})`;
  return `it refills faster than it is used; ${requests.toLocaleString('en-US')} requests would fit at once (${each})`;
}

/** Units that a request of this mix costs; at least one, so that a meter which costs nothing yet does not seem endless. */
function meanCost(rule: Rule, mix: Mix | undefined): number {
  if (mix === undefined) return 1;
  const { input, cacheRead, cacheWrite, output, costMicroUsd } = mix.mean;
  const read = input + cacheWrite + cacheRead * rule.cacheReadWeight;
  switch (rule.measure) {
    case 'input_tokens':
      return Math.max(1, read);
    case 'output_tokens':
      return Math.max(1, output);
    case 'total_tokens':
      return Math.max(1, read + output);
    case 'spend':
      return Math.max(1, costMicroUsd);
    default:
      return 1;
  }
}
