import { configSchema } from '#contracts/config';
import type { UsageRecord } from '#contracts/record';
import { createMemoryLog, createMetrics, createSystemClock, createSystemRandom, startTelemetry } from '#runtime';
import { describe, expect, onTestFinished, test } from 'vitest';
import { until } from '../gateway/kit/until.ts';
import { startCollector } from './collector.ts';

// Real sockets and real timers: exports wait for milliseconds here. Only a collector that never answers is waited for longer.
const TIMING = { batchDelayMs: 5, metricsIntervalMs: 20, exportTimeoutMs: 10_000, closeMs: 10_000 };
const IMPATIENT = { exportTimeoutMs: 250, closeMs: 50 };

async function start(endpoint: string, { sampleRatio = 1, ...timing }: Partial<typeof TIMING> & { sampleRatio?: number } = {}) {
  const log = createMemoryLog();
  const metrics = createMetrics();
  const random = createSystemRandom();
  const config = configSchema.parse({
    pools: [{ id: 'harbor', dialect: 'anthropic', replicas: [{ id: 'eu-1', url: 'http://127.0.0.1:9101' }] }],
    models: [{ id: 'harbor-1', serve: [{ pool: 'harbor', upstream_model: 'org/harbor-70b' }] }],
    telemetry: { otlp_endpoint: endpoint, sample_ratio: sampleRatio },
  });
  const parts = { config, endpoint, version: '1.2.3', clock: createSystemClock(), random, log, metrics };
  const telemetry = await startTelemetry({ ...parts, timing: { ...TIMING, ...timing } });
  onTestFinished(() => telemetry.close());
  return {
    telemetry,
    log,
    finish: (count = 1, traceparent: string | null = null) => {
      for (let index = 0; index < count; index++) telemetry.record(answered(`req_${random.hex(12)}`), traceparent);
    },
    /** The value of a series, 0 when it has none. */
    series: (name: string) => Number(metrics.render().split(`\n${name} `)[1]?.split('\n')[0] ?? 0),
  };
}

const answered = (id: string): UsageRecord => ({
  version: 1,
  id,
  atMs: 1_760_000_000_000,
  organization: 'org_1',
  workspace: 'ws_1',
  key: 'key_secret',
  endUser: 'user_secret',
  conversation: 'conversation_secret',
  dialect: 'anthropic',
  operation: 'messages',
  streamed: true,
  model: 'harbor-1',
  behavior: null,
  pool: 'harbor',
  region: null,
  attempts: [
    {
      replica: 'eu-1',
      outcome: 'answered',
      status: 200,
      upstreamRequestId: null,
      startUs: 100,
      durationUs: 40_000,
      firstContentUs: 9_000,
    },
  ],
  outcome: 'answered',
  status: 200,
  code: null,
  stopReason: 'end_turn',
  tokens: { input: 10, cacheRead: 4, cacheWrite: 0, output: 5, estimated: false },
  costMicroUsd: null,
  stagesUs: { receive: 50, place: 50, attempt: 9_000, stream: 31_000 },
  firstContentUs: 9_100,
  durationUs: 40_100,
  requestBytes: 100,
  responseBytes: 100,
  guards: [],
});

const DROPPED = (reason: string) => `plimsoll_telemetry_dropped_total{reason="${reason}"}`;
const UP = (signal: string) => `plimsoll_telemetry_up{signal="${signal}"}`;
const SAMPLED = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const NOT_SAMPLED = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00';

describe('a collector that takes what it is sent', () => {
  test('gets every span of a request as OTLP, with exact times and the caller’s trace', async () => {
    const collector = await startCollector();
    const { finish, series } = await start(collector.endpoint, { sampleRatio: 0 });
    finish(1, SAMPLED);
    await until(() => collector.spans.length > 0, 'spans arrive');
    expect(collector.spans.map(({ name }) => name)).toEqual([
      'chat harbor-1',
      'receive',
      'place',
      'attempt',
      'stream',
      'chat org/harbor-70b',
    ]);
    expect(collector.spans[0]).toMatchObject({
      traceId: '0af7651916cd43dd8448eb211c80319c',
      parentSpanId: 'b7ad6b7169203331',
      kind: 2,
      startTimeUnixNano: '1760000000000000000',
      endTimeUnixNano: '1760000000040100000',
      attributes: { 'gen_ai.provider.name': 'anthropic', 'gen_ai.usage.input_tokens': 14, 'gen_ai.usage.output_tokens': 5 },
    });
    expect(collector.resources[0]).toMatchObject({ 'service.name': 'plimsoll', 'service.version': '1.2.3' });
    expect(JSON.stringify(collector.spans)).not.toContain('secret');
    await until(() => series(UP('traces')) === 1, 'the collector is up');
  });

  test('gets the histograms of all requests, sampled or not, with the buckets that the conventions advise', async () => {
    const collector = await startCollector();
    const { finish } = await start(collector.endpoint, { sampleRatio: 0 });
    finish(7);
    const latest = () => collector.metrics.findLast(({ name }) => name === 'gen_ai.server.request.duration');
    await until(() => Number(latest()?.histogram.dataPoints[0]?.count) === 7, 'seven requests are counted');
    finish(2, NOT_SAMPLED);
    await until(() => Number(latest()?.histogram.dataPoints[0]?.count) === 9, 'nine, since sums go on from the start');
    expect(latest()).toMatchObject({ unit: 's', histogram: { aggregationTemporality: 2 } });
    expect(latest()?.histogram.dataPoints[0]?.explicitBounds).toHaveLength(14);
    expect(new Set(collector.metrics.map(({ name }) => name))).toEqual(
      new Set([
        'gen_ai.server.request.duration',
        'gen_ai.server.time_to_first_token',
        'gen_ai.server.time_per_output_token',
        'gen_ai.client.token.usage',
      ]),
    );
    expect(collector.spans).toEqual([]);
  });

  test('gets all of a burst that fits the queue, in batches', async () => {
    const collector = await startCollector();
    const { finish, series } = await start(collector.endpoint);
    finish(1_000);
    await until(() => collector.spans.length === 6_000, 'all spans arrive');
    expect(new Set(collector.spans.map(({ spanId }) => spanId)).size).toBe(6_000);
    await until(() => series('plimsoll_telemetry_exports_total{signal="traces",result="taken"}') === 32, 'thirty-two batches');
    expect(series(DROPPED('queue_full'))).toBe(0);
  });

  test('gets what still waits when the process ends', async () => {
    const collector = await startCollector();
    const { telemetry, finish } = await start(collector.endpoint, { batchDelayMs: 60_000, metricsIntervalMs: 60_000 });
    finish(3);
    await telemetry.close();
    expect(collector.spans).toHaveLength(18);
    expect(collector.metrics).toHaveLength(4);
  });
});

describe('a collector in trouble', () => {
  test.each([
    ['hangs', 'hang', 'no answer within 250 ms', IMPATIENT],
    ['answers a byte at a time, for ever', 'drip', 'no answer within 250 ms', IMPATIENT],
    ['refuses what it is sent', 'fail', '400', TIMING],
  ] as const)('that %s costs a line, not a request: traces are dropped and counted', async (_, behavior, problem, timing) => {
    const collector = await startCollector(behavior);
    const { finish, series, log } = await start(collector.endpoint, timing);
    finish(40);
    await until(() => series(DROPPED('export_failed')) === 40, 'two batches are given up');
    finish(1);
    await until(() => series(DROPPED('export_failed')) === 41, 'another batch is given up');
    await until(() => series(UP('traces')) === 0 && log.lines.length >= 2, 'traces and metrics are down');
    await until(() => collector.connections() <= 2, 'what was given up is cut: one connection a signal');
    expect(log.lines).toHaveLength(2);
    expect(log.lines.find(({ fields }) => fields['signal'] === 'traces')).toMatchObject({
      level: 'warn',
      fields: { collector: collector.endpoint, problem },
    });
  });

  test('that is not there is asked again, and its return costs one more line', async () => {
    const gone = await startCollector();
    await gone.close();
    // Shorter than the exporter's own first wait before it tries again.
    const { finish, series, log } = await start(gone.endpoint, { metricsIntervalMs: 60_000, exportTimeoutMs: 700 });
    finish(1);
    await until(() => series(DROPPED('export_failed')) === 1, 'the first is given up');
    expect(log.lines).toMatchObject([{ level: 'warn', fields: { signal: 'traces', problem: 'ECONNREFUSED' } }]);
    const back = await startCollector('take', gone.port);
    finish(1);
    await until(() => back.spans.length === 6, 'the second arrives');
    await until(() => series(UP('traces')) === 1, 'the collector is up');
    expect(log.lines).toHaveLength(2);
    expect(log.lines[1]).toMatchObject({ level: 'info', message: 'the telemetry collector is back' });
  });

  test('never makes a finished request wait, and its queue ends at its bound', async () => {
    const collector = await startCollector('hang');
    const { finish, series } = await start(collector.endpoint, {
      exportTimeoutMs: 60_000,
      metricsIntervalMs: 60_000,
      closeMs: 50,
    });
    finish(1);
    await until(() => collector.requests() === 1, 'an export hangs');
    finish(10_000);
    expect(series(DROPPED('queue_full'))).toBe(10_000 - 2_048);
  });

  test('is left alone for a while after a failure, however much waits', async () => {
    const collector = await startCollector('fail');
    const { finish, series } = await start(collector.endpoint, { metricsIntervalMs: 60_000, batchDelayMs: 60_000 });
    finish(2_000);
    await until(() => series(DROPPED('export_failed')) === 32, 'a batch is refused');
    finish(40);
    await fetch(collector.endpoint); // an export that was on its way would have come first
    expect(collector.requests()).toBe(2);
  });

  test('cannot hold the end of the process longer than the bound; what is lost is said once', async () => {
    const collector = await startCollector('hang');
    const { telemetry, finish, log, series } = await start(collector.endpoint, {
      exportTimeoutMs: 60_000,
      batchDelayMs: 60_000,
      closeMs: 100,
    });
    finish(50);
    const startMs = performance.now();
    await telemetry.close();
    expect(performance.now() - startMs).toBeLessThan(1_000);
    expect(series(DROPPED('shutdown'))).toBe(50 - 32);
    expect(log.lines.filter(({ message }) => message === 'traces were not sent before the end')).toHaveLength(1);
  });
});

describe('which traces are sent', () => {
  test.each([
    ['a sampled caller’s, at ratio 0', { sampleRatio: 0 }, SAMPLED, 1],
    ['none of a caller that does not sample, at ratio 1', { sampleRatio: 1 }, NOT_SAMPLED, 0],
    ['none without a caller, at ratio 0', { sampleRatio: 0 }, null, 0],
    ['all without a caller, at ratio 1', { sampleRatio: 1 }, null, 1],
    ['all with a traceparent that is not one, at ratio 1', { sampleRatio: 1 }, 'nonsense', 1],
  ])('%s', async (_, options, traceparent, expected) => {
    const collector = await startCollector();
    const { telemetry, finish } = await start(collector.endpoint, options);
    finish(1, traceparent);
    await telemetry.close();
    expect(collector.spans.filter(({ name }) => name === 'chat harbor-1')).toHaveLength(expected);
    expect(collector.metrics.length).toBeGreaterThan(0);
  });
});
