import type { MeterGroup, RateSpec, Rule } from '#core/limits';
import { groupOf, rateOf, ruleOf, scopeOf } from '../../../src/storage/limits/limits-kit.fixture.ts';

/** What every gateway of a fleet is asked for, by how many at once; plain data, for a process of its own. */
export interface Load {
  /** The meters of every subject. */
  readonly meters: readonly { readonly rule: Partial<Rule> & { readonly id: string }; readonly rate: RateSpec }[];
  readonly subjects: readonly string[];
  readonly costs: readonly number[];
  /** Signed units of each settlement; the last ends the request. */
  readonly settles: readonly (readonly number[])[];
  readonly workers: number;
  /** Between two settlements, and between two asks. */
  readonly holdMs: number;
  readonly pauseMs: number;
}

export function groupsOf(load: Load, subject: string): MeterGroup[] {
  const scope = scopeOf(
    0,
    load.meters.map(({ rule }) => ruleOf(rule.id, { isLeased: true, ...rule })),
  );
  return [
    groupOf(
      scope,
      subject,
      load.meters.map(({ rate }) => rateOf(rate)),
    ),
  ];
}
