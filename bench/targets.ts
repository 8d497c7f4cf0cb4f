import type { Target } from './stats/summary.ts';

/** What Plimsoll promises, against the bare Node proxy of the same round. */
export const TARGETS: readonly Target[] = [
  ...[16, 64, 256].map((connections): Target => ({
    caseName: `sweep-${connections}`,
    metric: 'requestsPerSecond',
    says: `requests per second on one core, ${connections} connections: at least 0.75 of the bare proxy`,
    by: 'ratio',
    bound: { atLeast: 0.75 },
  })),
  {
    caseName: 'ttft',
    metric: 'firstEventP50Us',
    says: 'added median time to first token: at most 500 µs over the bare proxy',
    by: 'difference',
    bound: { atMost: 500 },
  },
  {
    caseName: 'stream-many',
    metric: 'eventsLost',
    says: 'events lost over the concurrent streams: none',
    by: 'value',
    bound: { atMost: 0 },
  },
  {
    caseName: 'stream-many',
    metric: 'gapP99Us',
    says: 'inter-event gap p99: at most 1.5 times the bare proxy',
    by: 'ratio',
    bound: { atMost: 1.5 },
  },
  {
    caseName: 'cancel-stream',
    metric: 'closeSeenMaxUs',
    says: 'client gone mid-stream: the upstream sees it within 100 ms',
    by: 'value',
    bound: { atMost: 100_000 },
  },
  {
    caseName: 'cancel-waiting',
    metric: 'closeSeenMaxUs',
    says: 'client gone before the first byte: the upstream sees it within 100 ms',
    by: 'value',
    bound: { atMost: 100_000 },
  },
  {
    caseName: 'leak',
    metric: 'neverSeen',
    says: 'upstream calls left running after the dropped clients: none',
    by: 'value',
    bound: { atMost: 0 },
  },
];
