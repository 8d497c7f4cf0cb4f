import type { Case } from '../cases.ts';
import type { Machine } from '../host/machine.ts';
import { judge, type Rounds } from '../stats/summary.ts';
import { TARGETS } from '../targets.ts';
import { columnsFor, YARDSTICK } from './columns.ts';
import { formatNumber, formatTable } from './table.ts';

/** Memory of a system, before any load, at its highest, and after the last case. */
export interface Memory {
  readonly beforeBytes: number;
  readonly highestBytes: number;
  readonly afterBytes: number;
}

/** All that a run found: what is printed, and what is written beside it as JSON. */
export interface RunReport {
  readonly machine: Machine;
  readonly command: string;
  readonly rounds: number;
  readonly systems: readonly { readonly name: string; readonly about: string; readonly version: string }[];
  readonly leftOut: readonly { readonly name: string; readonly because: string }[];
  readonly cases: readonly { readonly testCase: Case; readonly rounds: Rounds }[];
  readonly memory: Readonly<Record<string, Memory>>;
  readonly crossCheck: readonly { readonly system: string; readonly requestsPerSecond: number; readonly wrkPerSecond: number }[];
}

const SUBJECT = 'plimsoll';
const MIB = 2 ** 20;

export function formatReport(report: RunReport): string {
  return [
    ...headLines(report),
    ...report.cases.flatMap(({ testCase, rounds }) => [
      '',
      `${testCase.name}: ${testCase.title}`,
      ...caseLines(testCase, rounds),
    ]),
    ...crossCheckLines(report),
    ...memoryLines(report),
    ...verdictLines(report),
    '',
  ].join('\n');
}

function headLines({ machine, command, rounds, systems, leftOut }: RunReport): readonly string[] {
  return [
    `${machine.date}  ${command}  commit ${machine.commit}`,
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGib} GiB, Linux ${machine.kernel}, Node ${machine.node}`,
    `The system under test has one core; the load generator and the mock upstream share another. ${rounds} interleaved rounds:`,
    'medians over the rounds, ratios taken within a round. "others" is what anything else took of the core under test.',
    ...systems.map(({ name, about, version }) => `  ${name}: ${about}${version === '' ? '' : ` (${version})`}`),
    ...leftOut.map(({ name, because }) => `  ${name}: LEFT OUT, ${because}`),
  ];
}

function caseLines(testCase: Case, rounds: Rounds): readonly string[] {
  const columns = columnsFor(testCase);
  const rows = Object.keys(rounds).map((system) => [system, ...columns.map(({ cell }) => cell(rounds, system))]);
  return formatTable(['', ...columns.map(({ header }) => header)], rows);
}

function crossCheckLines({ crossCheck }: RunReport): readonly string[] {
  if (crossCheck.length === 0) return [];
  const rows = crossCheck.map(({ system, requestsPerSecond, wrkPerSecond }) => [
    system,
    formatNumber(requestsPerSecond),
    formatNumber(wrkPerSecond),
  ]);
  return ['', 'cross-check of the load generator: wrk, 64 connections', ...formatTable(['', 'ours req/s', 'wrk req/s'], rows)];
}

function memoryLines({ memory }: RunReport): readonly string[] {
  const rows = Object.entries(memory).map(([system, { beforeBytes, highestBytes, afterBytes }]) => [
    system,
    ...[beforeBytes, highestBytes, afterBytes].map((bytes) => formatNumber(bytes / MIB)),
  ]);
  return rows.length === 0 ? [] : ['', 'resident memory, MiB', ...formatTable(['', 'before', 'highest', 'after'], rows)];
}

function verdictLines({ cases }: RunReport): readonly string[] {
  const lines = TARGETS.flatMap((target) => {
    const found = cases.find(({ testCase }) => testCase.name === target.caseName);
    if (found?.rounds[SUBJECT] === undefined) return [];
    const { kind, spread, kept } = judge(target, found.rounds, SUBJECT, YARDSTICK);
    const range = `[${formatNumber(spread.min)}–${formatNumber(spread.max)}]`;
    return [`  ${kind.padEnd(10)}  ${target.says}: ${formatNumber(spread.median)} ${range}, ${kept} of ${spread.rounds} rounds`];
  });
  return lines.length === 0 ? [] : ['', 'targets', ...lines];
}
