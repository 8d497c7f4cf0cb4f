import type { FailureEntry, Verdict } from './entry.ts';
import type { FailureReport } from './run-failures.ts';
import { renderTable } from '../table.ts';

const MARKS: Readonly<Record<Verdict['kind'], string>> = { pass: '✓', fail: '✗', unmeasured: '?' };
const CHECK_MARKS = { held: '✓', broken: '✗', unmeasured: '?' } as const;

/** The list, for a terminal. */
export function renderList(entries: readonly FailureEntry[]): string {
  return entries
    .map((entry) =>
      [
        `${entry.id}  ${entry.failure} (${entry.component}, severity ${entry.severity})`,
        `    effect    ${entry.effect}`,
        `    signal    ${entry.signal}`,
        `    response  ${entry.response}`,
        `    here      ${runnable(entry)}`,
      ].join('\n'),
    )
    .join('\n\n');
}

const runnable = ({ obstacle }: FailureEntry): string => {
  const because = obstacle?.() ?? null;
  return because === null ? 'can be run' : `cannot be run: ${because}`;
};

/** The table of docs/failure-modes.md. */
export function renderMarkdown(entries: readonly FailureEntry[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', String.raw`\|`)).join(' | ')} |`;
  return [
    line(['id', 'where', 'S', 'what goes wrong', 'effect', 'how it shows', 'what is done about it', 'how it is provoked']),
    line(Array.from({ length: 8 }, () => '---')),
    ...entries.map(({ id, component, severity, failure, effect, signal, response, injection }) =>
      line([id, component, String(severity), failure, effect, signal, response, injection]),
    ),
  ].join('\n');
}

export function listAsJson(entries: readonly FailureEntry[]): object {
  return {
    failures: entries.map(({ obstacle, provoke: _, boundMs: __, ...words }) => {
      const because = obstacle?.() ?? null;
      return { ...words, runs_here: because === null, because };
    }),
  };
}

/** One entry's outcome: a line, and a line for each thing that was looked at. */
export function renderReport({ entry, verdict, checks, respondedMs, detectedMs }: FailureReport): string {
  return [
    `${MARKS[verdict.kind]} ${entry.id.padEnd(3)} ${entry.failure}`,
    ...(verdict.kind === 'unmeasured' ? [`      ? ${verdict.because}`] : []),
    ...checks.map(({ about, claim, kind, saw }) => `      ${CHECK_MARKS[kind]} ${about}: ${claim} (${saw})`),
    ...(checks.length > 0 ? [`        response after ${msOf(respondedMs)}, visible after ${msOf(detectedMs)}`] : []),
  ].join('\n');
}

const msOf = (ms: number | null): string => (ms === null ? '(not timed)' : `${ms} ms`);

export function renderSummary(reports: readonly FailureReport[], tookMs: number): string {
  const table = renderTable(
    ['', 'id', 'response ms', 'visible ms', 'took ms', 'failure'],
    reports.map(({ entry, verdict, respondedMs, detectedMs, tookMs: oneMs }) => [
      MARKS[verdict.kind],
      entry.id,
      String(respondedMs ?? '-'),
      String(detectedMs ?? '-'),
      String(oneMs),
      entry.failure,
    ]),
    { rightFrom: 2, leftLast: true },
  );
  const { pass, fail, unmeasured } = count(reports);
  return `${table}\n\n${pass} as they should be, ${fail} not, ${unmeasured} could not be told, in ${(tookMs / 1000).toFixed(1)} s`;
}

export function reportsAsJson(
  reports: readonly FailureReport[],
  { seed, tookMs }: { readonly seed: number; readonly tookMs: number },
): object {
  return {
    seed,
    took_ms: tookMs,
    ...count(reports),
    failures: reports.map(({ entry, verdict, checks, respondedMs, detectedMs, tookMs: oneMs }) => ({
      id: entry.id,
      failure: entry.failure,
      verdict: verdict.kind,
      because: verdict.kind === 'pass' ? null : verdict.because,
      responded_ms: respondedMs,
      detected_ms: detectedMs,
      took_ms: oneMs,
      checks: checks.map(({ afterMs, ...check }) => ({ ...check, after_ms: afterMs })),
    })),
  };
}

function count(reports: readonly FailureReport[]): Readonly<Record<Verdict['kind'], number>> {
  const of = (kind: Verdict['kind']): number => reports.filter(({ verdict }) => verdict.kind === kind).length;
  return { pass: of('pass'), fail: of('fail'), unmeasured: of('unmeasured') };
}
