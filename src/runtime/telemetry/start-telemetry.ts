import type { Clock, Random, Timer } from '#contracts/clock';
import type { Config } from '#contracts/config';
import type { UsageRecord } from '#contracts/record';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { createHistograms } from './histograms.ts';
import { isSampled } from './sampling.ts';
import { createSender } from './sender.ts';
import { servingOf } from './serving.ts';
import { spansOf } from './spans-of.ts';
import { createTraceQueue } from './trace-queue.ts';
import { parseTraceparent } from './traceparent.ts';

/**
 * OpenTelemetry for requests that have ended: traces and the GenAI histograms, sent over OTLP. Everything is read from the usage
 * record, off the request path, within bounds; what cannot be sent is dropped and counted.
 */
export interface Telemetry {
  /** Takes note of a finished request. Never throws, never waits. */
  record(record: UsageRecord, traceparent: string | null): void;
  /** The models and replicas of a configuration that was reloaded. Endpoint and sampling stay as they were at the start. */
  replace(config: Config): void;
  /** Sends what waits, for a bounded time, and ends. */
  close(): Promise<void>;
}

export interface TelemetryOptions {
  readonly config: Config;
  /** Where the collector takes OTLP over HTTP; `/v1/traces` and `/v1/metrics` follow. */
  readonly endpoint: string;
  readonly version: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly timing?: TelemetryTiming;
}

export interface TelemetryTiming {
  /** How long a sampled request waits for others to be sent with. */
  readonly batchDelayMs: number;
  readonly metricsIntervalMs: number;
  /** For one export with all its retries. */
  readonly exportTimeoutMs: number;
  /** For the last exports of a process that ends. */
  readonly closeMs: number;
}
const TIMING: TelemetryTiming = { batchDelayMs: 1_000, metricsIntervalMs: 30_000, exportTimeoutMs: 10_000, closeMs: 3_000 };

/** Starts it. OpenTelemetry's packages are loaded here and nowhere else: a process without an endpoint never reads them. */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const { endpoint, version, clock, random, log, metrics, timing = TIMING } = options;
  const [
    { OTLPTraceExporter },
    { OTLPMetricExporter },
    { resourceFromAttributes },
    { AggregationTemporality, DataPointType },
    api,
  ] = await Promise.all([
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/exporter-metrics-otlp-http'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/sdk-metrics'),
    import('@opentelemetry/api'),
  ]);
  const ratio = options.config.telemetry.sample_ratio;
  let serving = servingOf(options.config);

  const dropped = metrics.counter('plimsoll_telemetry_dropped_total', 'Requests whose trace was sampled and never sent.', {
    reason: ['queue_full', 'export_failed', 'shutdown'],
  });
  const exports = metrics.counter('plimsoll_telemetry_exports_total', 'Exports to the telemetry collector.', {
    signal: ['traces', 'metrics'],
    result: ['taken', 'failed'],
  });
  metrics.gauge('plimsoll_telemetry_up', 'Whether the collector took the last export; absent before the first.', () =>
    ([traceSender, metricSender] as const).flatMap((sender, index) => {
      const isUp = sender.isUp();
      return isUp === null ? [] : [{ labels: { signal: index === 0 ? 'traces' : 'metrics' }, value: isUp ? 1 : 0 }];
    }),
  );

  const resource = resourceFromAttributes({
    'service.name': 'plimsoll',
    'service.version': version,
    'service.instance.id': random.hex(16),
  });
  const scope = { name: 'plimsoll', version };
  const common = { endpoint, timeoutMs: timing.exportTimeoutMs, clock, log, exports };
  const settings = { timeoutMillis: timing.exportTimeoutMs };
  const traceSender = createSender({
    ...common,
    signal: 'traces',
    createExporter: (url, agent) => new OTLPTraceExporter({ ...settings, url, httpAgentOptions: () => agent }),
  });
  const metricSender = createSender({
    ...common,
    signal: 'metrics',
    createExporter: (url, agent) => new OTLPMetricExporter({ ...settings, url, httpAgentOptions: () => agent }),
  });
  const traces = createTraceQueue({
    sender: traceSender,
    makeSpans: (batch) => batch.flatMap((finished) => spansOf(finished, { serving, resource, scope, random })),
    clock,
    dropped,
    delayMs: timing.batchDelayMs,
  });
  const histograms = createHistograms(
    () => serving,
    { histogram: DataPointType.HISTOGRAM, cumulative: AggregationTemporality.CUMULATIVE, double: api.ValueType.DOUBLE },
    clock.wallMs(),
  );
  const sendMetrics = async (): Promise<void> => {
    if (histograms.collect(clock.wallMs()).length > 0)
      await metricSender.send(() => ({ resource, scopeMetrics: [{ scope, metrics: histograms.collect(clock.wallMs()) }] }));
  };
  let isClosed = false;
  let timer: Timer | null = null;
  const schedule = (): void => {
    if (isClosed) return;
    timer = clock.after(timing.metricsIntervalMs, () => {
      // The sender turns every failure into an answer.
      void sendMetrics().then(schedule);
    });
  };
  schedule();

  return {
    record(record, traceparent) {
      if (isClosed) return;
      histograms.record(record);
      const parent = parseTraceparent(traceparent);
      if (isSampled(record.id, { parent, ratio })) traces.offer({ record, parent });
    },
    replace(config) {
      serving = servingOf(config);
    },
    async close() {
      isClosed = true;
      timer?.cancel();
      let bound: Timer | null = null;
      const late = new Promise<void>((resolve) => {
        bound = clock.after(timing.closeMs, resolve);
      });
      await Promise.race([Promise.all([traces.drain(), sendMetrics()]), late]);
      (bound as Timer | null)?.cancel();
      const left = traces.close();
      if (left > 0) log.warn('traces were not sent before the end', { requests: left });
      traceSender.close();
      metricSender.close();
    },
  };
}
