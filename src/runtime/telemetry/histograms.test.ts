import { AggregationTemporality, DataPointType } from '@opentelemetry/sdk-metrics';
import { ValueType } from '@opentelemetry/api';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { UsageRecord } from '#contracts/record';
import { sampleConfig, sampleRecord } from './finished-kit.ts';
import { createHistograms } from './histograms.ts';
import { servingOf } from './serving.ts';

const types = {
  histogram: DataPointType.HISTOGRAM,
  cumulative: AggregationTemporality.CUMULATIVE,
  double: ValueType.DOUBLE,
} as const;

function collected(records: readonly UsageRecord[]) {
  const serving = servingOf(sampleConfig());
  const histograms = createHistograms(() => serving, types, 1_000);
  for (const record of records) histograms.record(record);
  const metrics = histograms.collect(2_000);
  return (name: string) => metrics.find(({ descriptor }) => descriptor.name === name)?.dataPoints ?? [];
}

test('an answered stream counts in all four histograms of the conventions', () => {
  const points = collected([sampleRecord()]);
  const common = { 'gen_ai.operation.name': 'chat', 'gen_ai.provider.name': 'anthropic', 'gen_ai.request.model': 'harbor-1' };
  expect(points('gen_ai.server.request.duration')).toMatchObject([
    { attributes: { ...common, 'plimsoll.outcome': 'answered' }, value: { count: 1, sum: 1, min: 1, max: 1 } },
  ]);
  expect(points('gen_ai.server.time_to_first_token')).toMatchObject([{ attributes: common, value: { count: 1, sum: 0.1 } }]);
  expect(points('gen_ai.server.time_per_output_token')).toMatchObject([{ attributes: common, value: { count: 1, sum: 0.02 } }]);
  expect(points('gen_ai.client.token.usage')).toMatchObject([
    { attributes: { ...common, 'gen_ai.token.type': 'input' }, value: { count: 1, sum: 123 } },
    { attributes: { ...common, 'gen_ai.token.type': 'output' }, value: { count: 1, sum: 46 } },
  ]);
});

test('every request is in one bucket of the duration histogram, the one its time belongs in', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(200_000_000), { minLength: 1, maxLength: 50 }), (durations) => {
      const [point] = collected(durations.map((durationUs) => sampleRecord({ durationUs })))('gen_ai.server.request.duration');
      const { buckets, count } = point!.value;
      expect(count).toBe(durations.length);
      buckets.counts.forEach((inBucket, index) => {
        const above = index === 0 ? -Infinity : buckets.boundaries[index - 1]!;
        const to = buckets.boundaries[index] ?? Infinity;
        expect(inBucket).toBe(durations.filter((us) => us / 1e6 > above && us / 1e6 <= to).length);
      });
    }),
  );
});

test('an ending that is not an answer has its error, and says nothing about first tokens', () => {
  const points = collected([sampleRecord({ outcome: 'failed', status: 504, code: 'upstream_timeout' })]);
  expect(points('gen_ai.server.request.duration')[0]!.attributes).toMatchObject({
    'plimsoll.outcome': 'failed',
    'error.type': 'upstream_timeout',
  });
  expect(points('gen_ai.server.time_to_first_token')).toEqual([]);
});

test('a whole answer has no first token', () => {
  expect(collected([sampleRecord({ streamed: false })])('gen_ai.server.time_to_first_token')).toEqual([]);
});

test('tokens that were estimated are not reported as usage', () => {
  const estimated = { ...sampleRecord().tokens, estimated: true };
  const points = collected([sampleRecord({ tokens: estimated })]);
  expect(points('gen_ai.client.token.usage')).toEqual([]);
  expect(points('gen_ai.server.time_per_output_token')).toEqual([]);
});

test('past two thousand series all others are one, so that no reload of models can grow the memory', () => {
  const points = collected(Array.from({ length: 2_500 }, (_, index) => sampleRecord({ model: `m-${index}` })));
  const durations = points('gen_ai.server.request.duration');
  expect(durations).toHaveLength(2_001);
  expect(durations.at(-1)).toMatchObject({ attributes: { 'otel.metric.overflow': true }, value: { count: 500 } });
});

test('no series names a key, a user, a tenant or a conversation', () => {
  const histograms = createHistograms(() => servingOf(sampleConfig()), types, 0);
  histograms.record(sampleRecord());
  expect(JSON.stringify(histograms.collect(1))).not.toMatch(/secret|org_1|ws_1/);
});
