import { monitorEventLoopDelay } from 'node:perf_hooks';
import { STAGES, type AttemptOutcome, type UsageRecord } from '#contracts/record';
import type { Metrics } from '#runtime';
import type { Life } from './life.ts';
import { GARBAGE_REASONS } from './listener.ts';

/** What the gateway tells Prometheus. No label is a key, a user or a path; models are those of the configuration. */
export interface GatewayMetrics {
  request(record: UsageRecord): void;
  firstContent(life: Life, us: number): void;
  gap(us: number): void;
  upstreamError(phase: 'before_answer' | 'after_content', outcome: AttemptOutcome): void;
  unrecorded(): void;
  malformed(reason: string): void;
  close(): void;
}

const OUTCOMES = ['answered', 'refused', 'refused_by_upstream', 'failed', 'broken', 'client_gone', 'shut_down'];
const DIALECTS = ['anthropic', 'openai_chat', 'openai_responses'];
const ATTEMPT_OUTCOMES = ['backpressure', 'failed_before_answer', 'broken_after_content', 'timed_out', 'unreachable'];
/** Seconds. Gateway stages take microseconds, answers take minutes. */
const STAGE_BUCKETS = [10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 5e-3, 25e-3, 100e-3, 1, 10, 100];
const FIRST_CONTENT_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];
const GAP_BUCKETS = [0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 5, 30];

export interface GatewayMetricsOptions {
  readonly models: readonly string[];
  readonly openRequests: () => number;
  readonly journal: () => { readonly bytesUsed: number; readonly recordsAppended: number; readonly unsyncedMs: number };
}

export function createGatewayMetrics(metrics: Metrics, { models, openRequests, journal }: GatewayMetricsOptions): GatewayMetrics {
  const requests = metrics.counter('plimsoll_requests_total', 'Requests by how they ended.', {
    dialect: DIALECTS,
    outcome: OUTCOMES,
    model: models,
  });
  const stages = metrics.histogram('plimsoll_stage_seconds', 'Time that requests spend in each stage.', {
    buckets: STAGE_BUCKETS,
    labels: { stage: STAGES },
  });
  const first = metrics.histogram(
    'plimsoll_time_to_first_token_seconds',
    'From the start of the attempt that answered to its first content.',
    { buckets: FIRST_CONTENT_BUCKETS, labels: { model: models } },
  );
  const gaps = metrics.histogram('plimsoll_inter_token_gap_seconds', 'Between two deliveries of a streamed answer.', {
    buckets: GAP_BUCKETS,
  });
  const tokens = metrics.counter('plimsoll_tokens_total', 'Tokens by kind.', {
    kind: ['input', 'cache_read', 'cache_write', 'output'],
    model: models,
  });
  const estimated = metrics.counter(
    'plimsoll_estimated_usage_total',
    'Requests whose tokens are estimated, because the final usage never came.',
  );
  const errors = metrics.counter('plimsoll_upstream_errors_total', 'Attempts that failed, by phase.', {
    phase: ['before_answer', 'after_content'],
    outcome: ATTEMPT_OUTCOMES,
  });
  const unrecorded = metrics.counter(
    'plimsoll_unrecorded_requests_total',
    'Requests of known callers without a record: served while the journal was full (journal.when_full: serve), or refused while it was half full.',
  );
  const malformed = metrics.counter(
    'plimsoll_malformed_requests_total',
    'Bytes from clients that were not one unambiguous HTTP request: refused, and the connection closed.',
    { reason: GARBAGE_REASONS },
  );
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  metrics.gauge('plimsoll_open_requests', 'Requests being served.', openRequests);
  metrics.gauge('plimsoll_event_loop_delay_seconds', 'Delay of the event loop since the last scrape.', () => {
    const samples = [50, 99, 100].map((percentile) => ({
      labels: { quantile: String(percentile / 100) },
      value: Number.isFinite(delay.percentile(percentile)) ? delay.percentile(percentile) / 1e9 : 0,
    }));
    delay.reset();
    return samples;
  });
  metrics.gauge('plimsoll_journal_bytes', 'Bytes of the journal on disk.', () => journal().bytesUsed);
  metrics.gauge('plimsoll_journal_records', 'Records appended since the start.', () => journal().recordsAppended);
  metrics.gauge(
    'plimsoll_journal_unsynced_seconds',
    'Age of the oldest record that is not on the disk yet.',
    () => journal().unsyncedMs / 1000,
  );
  metrics.gauge('process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss());

  return {
    request(record) {
      const model = record.model ?? 'none';
      requests.add(1, record.dialect, record.outcome, model);
      for (const stage of STAGES) {
        const us = record.stagesUs[stage];
        if (us !== undefined) stages.observe(us / 1e6, stage);
      }
      const { input, cacheRead, cacheWrite, output } = record.tokens;
      if (input > 0) tokens.add(input, 'input', model);
      if (cacheRead > 0) tokens.add(cacheRead, 'cache_read', model);
      if (cacheWrite > 0) tokens.add(cacheWrite, 'cache_write', model);
      if (output > 0) tokens.add(output, 'output', model);
      if (record.tokens.estimated) estimated.add(1);
    },
    firstContent: (life, us) => first.observe(us / 1e6, life.modelId ?? 'none'),
    gap: (us) => gaps.observe(us / 1e6),
    upstreamError: (phase, outcome) => errors.add(1, phase, outcome),
    unrecorded: () => unrecorded.add(1),
    malformed: (reason) => malformed.add(1, reason),
    close: () => delay.disable(),
  };
}
