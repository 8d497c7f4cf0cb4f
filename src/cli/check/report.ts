import type { CheckResult } from './run-checks.ts';
import type { Verdict } from './verdict.ts';

export interface Summary {
  readonly passed: number;
  readonly failed: number;
  readonly unknown: number;
}

export function summarize(results: readonly CheckResult[]): Summary {
  const count = (kind: Verdict['kind']): number => results.filter(({ verdict }) => verdict.kind === kind).length;
  return { passed: count('pass'), failed: count('fail'), unknown: count('unknown') };
}

/** 0: everything that could be told passed. 1: something failed. 3: nothing could be told. (2 is a wrong command line.) */
export function exitCodeOf({ passed, failed }: Summary): 0 | 1 | 3 {
  if (failed > 0) return 1;
  return passed > 0 ? 0 : 3;
}

const MARKS = { pass: '✓', fail: '✗', unknown: '?' } as const;

/** A result as a line; what would settle a doubt is on a line of its own. */
export function renderResult({ id, title, verdict }: CheckResult): string {
  const line = `  ${MARKS[verdict.kind]} ${title} [${id}]: ${verdict.because}`;
  return verdict.kind === 'unknown' ? `${line}\n      would settle it: ${verdict.wouldSettle}` : line;
}

export function renderSummary(summary: Summary): string {
  const { passed, failed } = summary;
  return `${passed} ✓, ${failed} ✗, ${summary.unknown} ?${passed + failed === 0 ? ' (nothing could be told)' : ''}`;
}

export interface JsonReport {
  readonly url: string;
  readonly at: string;
}

export function renderJson(head: JsonReport, results: readonly CheckResult[]): string {
  return JSON.stringify({
    ...head,
    results: results.map(({ id, theme, title, dialect, verdict, durationMs }) => ({
      id,
      theme,
      title,
      dialect,
      verdict: verdict.kind,
      because: verdict.because,
      ...(verdict.kind === 'unknown' ? { would_settle: verdict.wouldSettle } : {}),
      duration_ms: durationMs,
    })),
    summary: summarize(results),
  });
}
