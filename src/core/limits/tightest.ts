import type { Measure } from '#contracts/measures';
import type { MeterGroup, Rule } from './meters.ts';
import { RATE_KINDS, unitsLeft, usUntilFull, type Rate } from './rate.ts';

/** One limit as clients are told of it. */
export interface LimitView {
  readonly rule: Rule;
  readonly subject: string;
  /** Whole units in a window. */
  readonly limit: number;
  /** Whole units left now. */
  readonly remaining: number;
  /** µs until it is full again; null where only the calendar says. */
  readonly fullInUs: number | null;
}

/** The tightest limit of each kind that clients are told of; absent where nothing limits it. */
export interface TightestLimits {
  readonly requests: LimitView | null;
  readonly inputTokens: LimitView | null;
  readonly outputTokens: LimitView | null;
  /** Of all limits on tokens, input and output and both. */
  readonly tokens: LimitView | null;
}

/**
 * Which limits a client is told of: of several on one thing, the one of which the smallest share is left.
 * @param ahead - flat states of the meters, as a decision gives them
 */
export function tightestLimits(groups: readonly MeterGroup[], ahead: Float64Array): TightestLimits {
  let requests: Tight | null = null;
  let inputTokens: Tight | null = null;
  let outputTokens: Tight | null = null;
  let totalTokens: Tight | null = null;
  let place = 0;
  for (const group of groups)
    for (let of = 0; of < group.rates.length; of++, place++) {
      const rate = group.rates[of] as Rate;
      const rule = group.scope.rules[of] as Rule;
      if (rate.kind === RATE_KINDS.unlimited || rule.isDryRun || !isTold(rule.measure)) continue;
      const tight: Tight = { group, rule, rate, ahead: ahead[place] as number, left: shareLeft(rate, ahead[place] as number) };
      if (rule.measure === 'requests') requests = tighter(requests, tight);
      else if (rule.measure === 'input_tokens') inputTokens = tighter(inputTokens, tight);
      else if (rule.measure === 'output_tokens') outputTokens = tighter(outputTokens, tight);
      else totalTokens = tighter(totalTokens, tight);
    }
  const tokens = [inputTokens, outputTokens, totalTokens].reduce((a, b) => (b === null ? a : tighter(a, b)), null);
  return {
    requests: viewOf(requests),
    inputTokens: viewOf(inputTokens),
    outputTokens: viewOf(outputTokens),
    tokens: viewOf(tokens),
  };
}

/** What a limit has left at least before it counts as near: a fifth, as operators warn. */
const NEAR_SHARE = 0.2;

/** Has any enforced limit less than a fifth left? @param ahead - flat states of the meters */
export function isNearLimit(groups: readonly MeterGroup[], ahead: Float64Array): boolean {
  let place = 0;
  for (const { rates, scope } of groups)
    for (let of = 0; of < rates.length; of++, place++) {
      const rate = rates[of] as Rate;
      if (rate.kind === RATE_KINDS.unlimited || rate.kind === RATE_KINDS.places || scope.rules[of]?.isDryRun) continue;
      if (shareLeft(rate, ahead[place] as number) < NEAR_SHARE) return true;
    }
  return false;
}

interface Tight {
  readonly group: MeterGroup;
  readonly rule: Rule;
  readonly rate: Rate;
  readonly ahead: number;
  readonly left: number;
}

const isTold = (measure: Measure): boolean => measure !== 'spend' && measure !== 'concurrency' && measure !== 'batch_queue';
const shareLeft = (rate: Rate, ahead: number): number => unitsLeft(rate, ahead) / Math.max(1, rate.burst);
const tighter = (a: Tight | null, b: Tight): Tight => (a === null || b.left < a.left ? b : a);

function viewOf(tight: Tight | null): LimitView | null {
  if (tight === null) return null;
  const { group, rule, rate, ahead } = tight;
  return {
    rule,
    subject: group.subject,
    limit: rate.limit,
    remaining: unitsLeft(rate, ahead),
    fullInUs: rate.kind === RATE_KINDS.rate ? usUntilFull(rate, ahead) : null,
  };
}
