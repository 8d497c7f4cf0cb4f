import type { Case } from '../cases.ts';
import { compare, metricOf, spreadOf, type Rounds } from '../stats/summary.ts';
import { formatNumber } from './table.ts';

/** One column of a case's table. */
export interface Column {
  readonly header: string;
  readonly cell: (rounds: Rounds, system: string) => string;
}

const BASELINE = 'direct';
export const YARDSTICK = 'bare-node';

const US_PER_MS = 1000;

/** The median over the rounds. */
function middle(header: string, metric: string, unit = 1): Column {
  return { header, cell: (rounds, system) => formatNumber(spreadOf(metricOf(rounds, system, metric)).median / unit) };
}

function best(header: string, metric: string): Column {
  return { header, cell: (rounds, system) => formatNumber(spreadOf(metricOf(rounds, system, metric)).max) };
}

/** The worst over the rounds: for what must not happen even once. */
function worst(header: string, metric: string, unit = 1): Column {
  return { header, cell: (rounds, system) => formatNumber(spreadOf(metricOf(rounds, system, metric)).max / unit) };
}

function percent(header: string, metric: string): Column {
  return {
    header,
    cell(rounds, system) {
      const { median } = spreadOf(metricOf(rounds, system, metric));
      return Number.isFinite(median) ? `${Math.round(median * 100)}%` : '–';
    },
  };
}

function added(header: string, metric: string, against: string): Column {
  return {
    header,
    cell(rounds, system) {
      if (system === against || rounds[against] === undefined) return '–';
      return formatNumber(spreadOf(compare(rounds, metric, { system, against, by: 'difference' })).median / US_PER_MS);
    },
  };
}

/** Median of the rounds' ratios to the yardstick, and their range. */
function ratio(header: string, metric: string): Column {
  return {
    header,
    cell(rounds, system) {
      if (system === YARDSTICK || rounds[YARDSTICK] === undefined) return '–';
      const { median, min, max } = spreadOf(compare(rounds, metric, { system, against: YARDSTICK, by: 'ratio' }));
      return Number.isFinite(median) ? `${median.toFixed(2)} [${min.toFixed(2)}–${max.toFixed(2)}]` : '–';
    },
  };
}

const AROUND: readonly Column[] = [
  percent('own core', 'systemCpuRatio'),
  percent('load+mock', 'aroundCpuRatio'),
  percent('others', 'othersRatio'),
];

export function columnsFor(testCase: Case): readonly Column[] {
  switch (testCase.kind) {
    case 'requests':
      return [
        middle('req/s', 'requestsPerSecond'),
        best('best', 'requestsPerSecond'),
        ratio('× bare-node', 'requestsPerSecond'),
        middle('p50 ms', 'p50Us', US_PER_MS),
        middle('p99 ms', 'p99Us', US_PER_MS),
        added('+direct ms', 'p50Us', BASELINE),
        added('+bare ms', 'p50Us', YARDSTICK),
        middle('CPU µs/req', 'cpuUsPerRequest'),
        middle('after', 'afterUsPerRequest'),
        worst('failed', 'failures'),
        ...AROUND,
      ];
    case 'streams':
      return [
        middle('first p50 ms', 'firstEventP50Us', US_PER_MS),
        middle('p99 ms', 'firstEventP99Us', US_PER_MS),
        added('+direct ms', 'firstEventP50Us', BASELINE),
        added('+bare ms', 'firstEventP50Us', YARDSTICK),
        middle('gap p50 ms', 'gapP50Us', US_PER_MS),
        middle('gap p99 ms', 'gapP99Us', US_PER_MS),
        ratio('gap p99 × bare-node', 'gapP99Us'),
        middle('streams/s', 'streamsPerSecond'),
        ratio('× bare-node', 'streamsPerSecond'),
        middle('CPU µs/event', 'cpuUsPerEvent'),
        middle('after ms', 'afterMs'),
        worst('lost', 'eventsLost'),
        worst('failed', 'failures'),
        ...AROUND,
      ];
    case 'cancel':
      return [
        middle('close seen p50 ms', 'closeSeenP50Us', US_PER_MS),
        worst('worst ms', 'closeSeenMaxUs', US_PER_MS),
        middle('dropped', 'dropped'),
        worst('never seen', 'neverSeen'),
        worst('still open', 'openAfter'),
        middle('req/s after', 'requestsPerSecondAfter'),
        worst('failed', 'failures'),
      ];
  }
}
