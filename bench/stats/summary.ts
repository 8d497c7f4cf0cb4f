import type { Metrics } from '../measure.ts';
import { median, sorted } from './order-statistics.ts';

/** A metric over the rounds of a run. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly rounds: number;
}

/** All measurements of a case: by system, one entry a round, in the order of the rounds. */
export type Rounds = Readonly<Record<string, readonly Metrics[]>>;

export function spreadOf(values: readonly number[]): Spread {
  const ordered = sorted(values);
  return {
    median: median(ordered),
    min: ordered[0] ?? Number.NaN,
    max: ordered.at(-1) ?? Number.NaN,
    rounds: ordered.length,
  };
}

export function metricOf(rounds: Rounds, system: string, metric: string): readonly number[] {
  return (rounds[system] ?? []).map((metrics) => metrics[metric] ?? Number.NaN);
}

/**
 * Compares two systems round by round, because the machine drifts between rounds by more than the systems differ: two figures of
 * the same round were taken seconds apart.
 */
export function compare(
  rounds: Rounds,
  metric: string,
  pair: { readonly system: string; readonly against: string; readonly by: 'ratio' | 'difference' },
): readonly number[] {
  const others = metricOf(rounds, pair.against, metric);
  return metricOf(rounds, pair.system, metric).map((value, round) => {
    const other = others[round] ?? Number.NaN;
    return pair.by === 'ratio' ? value / other : value - other;
  });
}

/** A promise about a metric that a run can keep or break. */
export interface Target {
  readonly caseName: string;
  readonly metric: string;
  readonly says: string;
  readonly by: 'ratio' | 'difference' | 'value';
  readonly bound: { readonly atLeast: number } | { readonly atMost: number };
}

/** `mixed`: some rounds kept it and some did not. `unmeasured`: a figure that it needs is missing. */
export interface Verdict {
  readonly kind: 'met' | 'missed' | 'mixed' | 'unmeasured';
  readonly spread: Spread;
  readonly kept: number;
}

export function judge(target: Target, rounds: Rounds, system: string, against: string): Verdict {
  const values =
    target.by === 'value'
      ? metricOf(rounds, system, target.metric)
      : compare(rounds, target.metric, { system, against, by: target.by });
  const measured = sorted(values);
  const bound = target.bound;
  const kept = measured.filter((value) => ('atLeast' in bound ? value >= bound.atLeast : value <= bound.atMost)).length;
  const isWhole = measured.length > 0 && measured.length === values.length;
  const kind = !isWhole ? 'unmeasured' : kept === measured.length ? 'met' : kept === 0 ? 'missed' : 'mixed';
  return { kind, spread: spreadOf(values), kept };
}
