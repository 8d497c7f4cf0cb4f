import { BOUND_MS, judge, type Check, type FailureEntry, type Verdict } from './entry.ts';
import { makeLabDirectory, openLab } from './kit/lab.ts';
import type { StartGateway } from './kit/gateway-process.ts';
import { startStopwatch } from './kit/stopwatch.ts';

/** What came of provoking one entry. */
export interface FailureReport {
  readonly entry: FailureEntry;
  readonly verdict: Verdict;
  readonly checks: readonly Check[];
  /** Until the system had responded, and until the failure could be seen: the slowest of each, ms; null where nothing was timed. */
  readonly respondedMs: number | null;
  readonly detectedMs: number | null;
  readonly tookMs: number;
}

export interface RunOptions {
  readonly startGateway: StartGateway;
  readonly seed: number;
  readonly onBegin?: (entry: FailureEntry, index: number) => void;
  readonly onReport?: (report: FailureReport) => void;
}

/** Provokes entries one after the other, so that none disturbs another's times. */
export async function runFailures(entries: readonly FailureEntry[], options: RunOptions): Promise<readonly FailureReport[]> {
  const { directory, remove } = await makeLabDirectory();
  const reports: FailureReport[] = [];
  try {
    for (const [index, entry] of entries.entries()) {
      options.onBegin?.(entry, index);
      const report = await runOne(entry, { ...options, directory });
      reports.push(report);
      options.onReport?.(report);
    }
    return reports;
  } finally {
    await remove();
  }
}

async function runOne(
  entry: FailureEntry,
  { startGateway, seed, directory }: RunOptions & { readonly directory: string },
): Promise<FailureReport> {
  const elapsed = startStopwatch();
  const report = (verdict: Verdict, checks: readonly Check[] = []): FailureReport => ({
    entry,
    verdict,
    checks,
    respondedMs: slowest(checks, 'response'),
    detectedMs: slowest(checks, 'signal'),
    tookMs: elapsed(),
  });
  const obstacle = entry.obstacle?.() ?? null;
  if (obstacle !== null) return report({ kind: 'unmeasured', because: obstacle });
  const lab = await openLab({ startGateway, directory, seed });
  const boundMs = entry.boundMs ?? BOUND_MS;
  let bound: NodeJS.Timeout | undefined;
  try {
    const tooLong = new Promise<null>((resolve) => (bound = setTimeout(() => resolve(null), boundMs)));
    const provoked = entry.provoke(lab);
    // After the bound nobody waits for it any more; closing the lab ends whatever it still does.
    provoked.catch(() => {});
    const checks = await Promise.race([provoked, tooLong]);
    if (checks === null) return report({ kind: 'unmeasured', because: `not done within ${boundMs} ms` });
    return report(judge(checks), checks);
  } catch (error) {
    // Not provoked, or a mistake in the entry: nothing was seen either way, so it is never a pass.
    return report({ kind: 'unmeasured', because: error instanceof Error ? error.message : String(error) });
  } finally {
    clearTimeout(bound);
    await lab.close();
  }
}

function slowest(checks: readonly Check[], about: Check['about']): number | null {
  const times = checks.flatMap((check) => (check.about === about && check.afterMs !== null ? [check.afterMs] : []));
  return times.length === 0 ? null : Math.max(...times);
}
