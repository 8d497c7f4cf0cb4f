import type { Measure, WhenAway } from '#contracts/measures';
import type { Rate } from './rate.ts';

/** A limit as the file names it, ready for use: everything about it that is the same for all subjects. */
export interface Rule {
  readonly id: string;
  readonly measure: Measure;
  readonly output: 'metered' | 'quantile' | 'max_tokens';
  readonly cacheReadWeight: number;
  readonly hardStop: boolean;
  readonly whenAway: WhenAway;
  readonly isLeased: boolean;
  readonly isDryRun: boolean;
  /** Its cost is known only while or after it is spent: admitted while at least one unit is left, charged as it comes. */
  readonly isMetered: boolean;
}

/** Rules that sit on the same levels: their meters of one subject lie side by side. */
export interface Scope {
  /** Its place among the scopes of a configuration, 0 up. */
  readonly index: number;
  /** Levels joined by `+`, as in `organization+model_class`: what names it in a shared store. */
  readonly id: string;
  readonly rules: readonly Rule[];
}

/** One subject's meters: what one request is counted on in one scope. */
export interface MeterGroup {
  readonly scope: Scope;
  /** The organization, whose meters all live together in a shared store; `-` for subjects outside any. */
  readonly tenant: string;
  /** `key_ab12`, or `org_x|large` for a combination: what names the subject in a shared store and in refusals. */
  readonly subject: string;
  /** 64 bits of a keyed hash of tenant, scope and subject: what names it in memory. */
  readonly hashHigh: number;
  readonly hashLow: number;
  /** By the scope's rules. */
  readonly rates: readonly Rate[];
}

/**
 * What one request asks of all its limits at once.
 * `costs` holds whole units, one for every rule of every group in order (the *flat* order): group 0's rules, then group 1's, …
 */
export interface Ask {
  readonly groups: readonly MeterGroup[];
  readonly costs: Float64Array;
}

/** The answer: all of it was taken, or none. */
export interface Decision {
  /** Flat place of the meter that refuses, the one with the longest wait; −1 when all were taken. */
  readonly refusedBy: number;
  /** µs after which the same ask is sure to be taken if nothing else is; Infinity when it never can be; 0 when taken. */
  readonly waitUs: number;
  /** State of each meter after the decision, flat: ticks ahead of now for a rate, units for a calendar, places held. */
  readonly ahead: Float64Array;
}

/** How many meters the groups of an ask have: the length of its flat arrays. */
export function countMeters(groups: readonly MeterGroup[]): number {
  let count = 0;
  for (const group of groups) count += group.rates.length;
  return count;
}

/** The group and rule at a flat place. */
export function meterAt(
  groups: readonly MeterGroup[],
  place: number,
): { readonly group: MeterGroup; readonly rule: Rule; readonly rate: Rate } {
  let rest = place;
  for (const group of groups) {
    const rule = group.scope.rules[rest];
    const rate = group.rates[rest];
    if (rule && rate) return { group, rule, rate };
    rest -= group.rates.length;
  }
  throw new RangeError(`no meter at ${place}`);
}
