import { resourceFromAttributes } from '@opentelemetry/resources';
import { describe, expect, test } from 'vitest';
import type { UsageRecord } from '#contracts/record';
import { createSystemRandom } from '../random.ts';
import { sampleConfig, sampleRecord } from './finished-kit.ts';
import { servingOf } from './serving.ts';
import { spansOf } from './spans-of.ts';
import type { TraceParent } from './traceparent.ts';

const parts = {
  serving: servingOf(sampleConfig()),
  resource: resourceFromAttributes({ 'service.name': 'plimsoll' }),
  scope: { name: 'plimsoll', version: '0' },
  random: createSystemRandom(),
};
const spans = (record: UsageRecord, parent: TraceParent | null = null) => spansOf({ record, parent }, parts);
const root = (record: UsageRecord) => spans(record)[0]!;
const usOf = ([seconds, nanos]: readonly [number, number]) => seconds * 1e6 + nanos / 1e3;
const START_US = 1_760_000_000_123_000;

describe('the span of a request', () => {
  test('says what was asked, who served it and what it used, in the words of the GenAI conventions', () => {
    const span = root(sampleRecord());
    expect(span).toMatchObject({ name: 'chat harbor-1', kind: 1, status: { code: 0 } });
    expect(span.attributes).toMatchObject({
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'anthropic',
      'gen_ai.request.model': 'harbor-1',
      'gen_ai.request.stream': true,
      'gen_ai.response.model': 'org/harbor-70b',
      'gen_ai.response.finish_reasons': ['end_turn'],
      'gen_ai.response.time_to_first_chunk': 0.1,
      'gen_ai.usage.input_tokens': 123,
      'gen_ai.usage.cache_read.input_tokens': 20,
      'gen_ai.usage.cache_creation.input_tokens': 3,
      'gen_ai.usage.output_tokens': 46,
      'http.request.method': 'POST',
      'http.route': '/v1/messages',
      'http.response.status_code': 200,
      'plimsoll.request.id': 'req_0123456789abcdef01234567',
      'plimsoll.outcome': 'answered',
    });
    expect(span.attributes).not.toHaveProperty('error.type');
  });

  test('begins when the request arrived and ends when it ended', () => {
    const { startTime, endTime } = root(sampleRecord());
    expect([usOf(startTime), usOf(endTime)]).toEqual([START_US, START_US + 1_000_000]);
  });

  test('begins a trace whose id can be found from the time and the id of the request', () => {
    expect(root(sampleRecord()).spanContext().traceId).toBe('68e778000123456789abcdef01234567');
    expect(root(sampleRecord()).parentSpanContext).toBeUndefined();
  });

  test('stands under the span of the caller that said who it is', () => {
    const parent = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), isSampled: true };
    const all = spans(sampleRecord(), parent);
    expect(all.map((span) => span.spanContext().traceId)).toEqual(all.map(() => parent.traceId));
    expect(all[0]!.parentSpanContext).toMatchObject({ spanId: parent.spanId, isRemote: true });
  });

  test.each([
    [{ outcome: 'failed', status: 502, code: 'upstream_unreachable' }, 'upstream_unreachable', 2],
    [{ outcome: 'broken', status: 200, code: 'upstream_broken' }, 'upstream_broken', 2],
    [{ outcome: 'refused', status: 503, code: 'unrecordable' }, 'unrecordable', 2],
    [{ outcome: 'refused', status: 429, code: 'rate_limited' }, 'rate_limited', 0],
    [{ outcome: 'client_gone', status: 499, code: 'client_gone' }, 'client_gone', 0],
    [{ outcome: 'refused_by_upstream', status: 400, code: null }, 'refused_by_upstream', 0],
  ] as const)('of an ending like %j has error.type %s, and is an error only when it is not the caller’s', (end, type, code) => {
    const span = root(sampleRecord(end));
    expect(span.attributes).toMatchObject({ 'error.type': type });
    expect(span.attributes).not.toHaveProperty('gen_ai.response.model');
    expect(span.status.code).toBe(code);
  });

  test('of a request that never reached a model names what the client spoke, and no tokens', () => {
    const tokens = { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, estimated: false };
    const span = root(
      sampleRecord({ model: null, pool: null, dialect: 'openai_responses', operation: 'responses', attempts: [], tokens }),
    );
    expect(span.name).toBe('chat');
    expect(span.attributes).toMatchObject({ 'gen_ai.provider.name': 'openai', 'http.route': '/v1/responses' });
    expect(Object.keys(span.attributes).filter((name) => /usage|model/.test(name))).toEqual([]);
  });
});

describe('the spans under it', () => {
  test('are its stages in order, as long as each took, one after the other', () => {
    const stages = spans(sampleRecord()).slice(1, 8);
    expect(stages.map(({ name }) => name)).toEqual(['receive', 'authenticate', 'admit', 'place', 'attempt', 'stream', 'settle']);
    let at = START_US;
    for (const { startTime, endTime } of stages) {
      expect(usOf(startTime)).toBe(at);
      at = usOf(endTime);
    }
    expect(at).toBe(START_US + 1_000_000);
  });

  test('are its attempts at their true times, each with the replica it went to', () => {
    const [first, second, ...none] = spans(sampleRecord()).slice(8);
    expect(none).toEqual([]);
    expect(first).toMatchObject({ name: 'chat org/spare-70b', kind: 2, status: { code: 2 } });
    expect(first!.attributes).toMatchObject({
      'gen_ai.provider.name': 'openai',
      'server.address': 'spare.example',
      'server.port': 443,
      'error.type': '429',
      'plimsoll.attempt.number': 1,
      'plimsoll.attempt.outcome': 'backpressure',
    });
    expect(second).toMatchObject({ name: 'chat org/harbor-70b', kind: 2, status: { code: 0 } });
    expect(second!.attributes).toMatchObject({ 'server.address': '10.0.0.7', 'server.port': 9101, 'plimsoll.replica': 'eu-1' });
    expect([usOf(second!.startTime), usOf(second!.endTime)]).toEqual([START_US + 4_400, START_US + 999_400]);
  });

  test('all have an id of their own, the request’s trace and the request’s span as parent', () => {
    const [request, ...rest] = spans(sampleRecord());
    const { traceId, spanId } = request!.spanContext();
    expect(new Set([spanId, ...rest.map((span) => span.spanContext().spanId)]).size).toBe(10);
    for (const span of rest) {
      expect(span.spanContext().traceId).toBe(traceId);
      expect(span.parentSpanContext!.spanId).toBe(spanId);
    }
  });

  test('are internal, and have no server, for an engine in this process', () => {
    const attempt = { ...sampleRecord().attempts[1]!, replica: 'toy' };
    const span = spans(sampleRecord({ model: 'toy-1', pool: 'toy', attempts: [attempt] })).at(-1)!;
    expect(span).toMatchObject({ name: 'chat toy-1', kind: 0, attributes: { 'gen_ai.provider.name': 'simulated' } });
    expect(span.attributes).not.toHaveProperty('server.address');
  });
});

test('no span carries a key, an end user or a conversation as the client named it', () => {
  const text = JSON.stringify(spans(sampleRecord()).map(({ name, attributes }) => ({ name, attributes })));
  expect(text).toContain('gen_ai.conversation.id');
  expect(text).not.toContain('secret');
});

test('the same conversation has another name in another organization', () => {
  const of = (organization: string) => root(sampleRecord({ organization })).attributes['gen_ai.conversation.id'];
  expect(of('org_1')).toBe(of('org_1'));
  expect(of('org_1')).not.toBe(of('org_2'));
});

test('tokens stand on the request alone, so that a sum over spans counts them once', () => {
  const with_ = spans(sampleRecord()).filter(({ attributes }) => 'gen_ai.usage.output_tokens' in attributes);
  expect(with_).toHaveLength(1);
});
