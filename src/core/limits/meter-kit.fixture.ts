import type { MeterGroup, Rule, Scope } from './meters.ts';
import { compileRate, type Rate, type RateSpec } from './rate.ts';

/** A rule for tests: exact, leased, enforced, unless said otherwise. */
export const ruleOf = (id: string, more: Partial<Rule> = {}): Rule => ({
  id,
  measure: 'requests',
  output: 'metered',
  cacheReadWeight: 0,
  hardStop: false,
  whenAway: 'local_share',
  isLeased: true,
  isDryRun: false,
  isMetered: false,
  ...more,
});

export function rateOf(spec: RateSpec): Rate {
  const rate = compileRate(spec);
  if (!rate.ok) throw new Error(rate.error);
  return rate.value;
}

export const perMinute = (limit: number, burst = limit): Rate => rateOf({ kind: 'rate', limit, windowUs: 60_000_000, burst });

export const scopeOf = (index: number, rules: readonly Rule[], id = `scope-${index}`): Scope => ({ index, id, rules });

/** A subject by number. */
export const groupOf = (scope: Scope, subject: number, rates: readonly Rate[]): MeterGroup => ({
  scope,
  tenant: 'org_a',
  subject: `s${subject}`,
  hashHigh: Math.imul(subject + 1, 0x9e3779b1) >>> 0,
  hashLow: Math.imul(subject + 1, 0x85ebca6b) >>> 0,
  rates,
});
