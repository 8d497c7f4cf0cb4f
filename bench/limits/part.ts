import type { StopList } from '../host/stop-list.ts';
import { formatNumber } from '../report/table.ts';
import type { Target, Verdict } from '../stats/summary.ts';

/** What one part of the bench found, ready to be printed. */
export interface Part {
  readonly title: string;
  readonly lines: readonly string[];
}

export interface PartOptions {
  readonly rounds: number;
  /** Of each measurement. */
  readonly seconds: number;
  /** The one that what is measured has for itself. */
  readonly core: number;
  readonly say: (line: string) => void;
  readonly stops: StopList;
}

export function formatVerdict({ says, bound }: Target, { kind, spread, kept }: Verdict): string {
  const wanted = 'atLeast' in bound ? `at least ${formatNumber(bound.atLeast)}` : `at most ${formatNumber(bound.atMost)}`;
  const range = `${formatNumber(spread.median)} [${formatNumber(spread.min)}–${formatNumber(spread.max)}]`;
  return `  ${kind.padEnd(10)}  ${says}, ${wanted}: ${range}, ${kept} of ${spread.rounds} rounds`;
}
