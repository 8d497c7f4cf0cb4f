import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import type { Distribution } from './order.ts';

/** A histogram of times in ns, to three significant figures, up to ten minutes. */
export function createTimes(): RecordableHistogram {
  return createHistogram({ lowest: 1, highest: 600_000_000_000, figures: 3 });
}

/** Records a duration in ms, as fine as the clock gives it. A duration of zero counts as one ns: the histogram starts there. */
export function recordMs(times: RecordableHistogram, durationMs: number): void {
  times.record(Math.max(1, Math.round(durationMs * 1_000_000)));
}

export function distributionOf(times: RecordableHistogram): Distribution {
  const isEmpty = times.count === 0;
  const us = (ns: number): number => (isEmpty ? Number.NaN : ns / 1000);
  return {
    count: times.count,
    minUs: us(times.min),
    p50Us: us(times.percentile(50)),
    p90Us: us(times.percentile(90)),
    p99Us: us(times.percentile(99)),
    maxUs: us(times.max),
    meanUs: us(times.mean),
  };
}
