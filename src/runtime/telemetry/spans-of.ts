import { createHash } from 'node:crypto';
import type { Attributes, HrTime, SpanStatus } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import type { Random } from '#contracts/clock';
import { STAGES, type AttemptRecord, type Operation, type UsageRecord } from '#contracts/record';
import type { Serving } from './serving.ts';
import type { TraceParent } from './traceparent.ts';

/** A request that has ended, and the trace it belongs to. */
export interface FinishedRequest {
  readonly record: UsageRecord;
  readonly parent: TraceParent | null;
}

export interface SpanParts {
  readonly serving: Serving;
  readonly resource: Resource;
  readonly scope: { readonly name: string; readonly version: string };
  readonly random: Random;
}

const ROUTES: Readonly<Record<Operation, string>> = {
  messages: '/v1/messages',
  count_tokens: '/v1/messages/count_tokens',
  chat_completions: '/v1/chat/completions',
  responses: '/v1/responses',
};
/** `SpanKind` and `SpanStatusCode` of the API, as numbers: types are all that is imported from it. */
const KIND = { internal: 0, server: 1, client: 2 } as const;
const STATUS = { unset: { code: 0 }, error: { code: 2 } } as const satisfies Record<string, SpanStatus>;
/** Reasons why a model stopped come from replicas: words of a dialect, but nobody made sure. */
const STOP_REASON_CHARS_MAX = 64;

/**
 * The spans of a finished request: the request, its stages, its attempts. All of it is read from the usage record, so a span
 * can say nothing that a record may not: no content, no key, no end user.
 * A stage that was entered more than once is one span, as long as the stage took altogether, beginning where the stages before
 * it ended; the record keeps no more. Attempts stand at their own true times.
 * Names follow the GenAI conventions of OpenTelemetry (in development) and its stable ones for HTTP, errors and servers.
 */
export function spansOf({ record, parent }: FinishedRequest, parts: SpanParts): ReadableSpan[] {
  const traceId = parent?.traceId ?? traceIdOf(record);
  const spanId = parts.random.hex(8);
  const span = (shape: SpanShape): ReadableSpan => toSpan(record.atMs, traceId, shape, parts);
  const spans = [
    span({
      spanId,
      parent: parent && { ...parent, isRemote: true },
      name: nameOf(record.operation, record.model),
      kind: KIND.server,
      startUs: 0,
      durationUs: record.durationUs,
      attributes: requestAttributes(record, parts.serving),
      isError: record.outcome === 'failed' || record.outcome === 'broken' || record.status >= 500,
    }),
  ];
  const root = { traceId, spanId, isRemote: false };
  let startUs = 0;
  for (const stage of STAGES) {
    const durationUs = record.stagesUs[stage];
    if (durationUs === undefined) continue;
    spans.push(span({ parent: root, name: stage, kind: KIND.internal, startUs, durationUs, attributes: {}, isError: false }));
    startUs += durationUs;
  }
  record.attempts.forEach((attempt, index) => {
    const served = parts.serving.replica(attempt.replica, {
      model: record.model,
      preferredPool: index === record.attempts.length - 1 ? record.pool : null,
    });
    const pool = served?.pool ?? record.pool;
    const upstreamModel = parts.serving.upstreamModel(record.model, pool);
    spans.push(
      span({
        parent: root,
        name: nameOf(record.operation, upstreamModel),
        kind: served?.server ? KIND.client : KIND.internal,
        startUs: attempt.startUs,
        durationUs: attempt.durationUs,
        attributes: {
          ...callAttributes(record, parts.serving.provider(pool, record.dialect), upstreamModel),
          ...(served?.server ? { 'server.address': served.server.address, 'server.port': served.server.port } : {}),
          ...attemptAttributes(attempt, index),
          ...(pool === null ? {} : { 'plimsoll.pool': pool }),
        },
        isError: attempt.outcome !== 'answered' && attempt.outcome !== 'aborted',
      }),
    );
  });
  return spans;
}

/**
 * A trace id that can be found from a request's id: the second of its arrival, then the random digits of the id. Its end is
 * random, as W3C asks; its beginning is a time, as X-Ray asks.
 */
function traceIdOf({ id, atMs }: UsageRecord): string {
  const seconds = Math.floor(atMs / 1000)
    .toString(16)
    .padStart(8, '0')
    .slice(-8);
  return seconds + id.slice(-24).padStart(24, '0');
}

/** The convention has a word for generating an answer in a conversation, whatever the dialect calls it, and none for counting. */
export const operationName = (operation: Operation): string => (operation === 'count_tokens' ? 'count_tokens' : 'chat');

const nameOf = (operation: Operation, model: string | null): string =>
  model === null ? operationName(operation) : `${operationName(operation)} ${model}`;

function callAttributes({ operation, streamed }: UsageRecord, provider: string, model: string | null): Attributes {
  return {
    'gen_ai.operation.name': operationName(operation),
    'gen_ai.provider.name': provider,
    ...(model === null ? {} : { 'gen_ai.request.model': model }),
    ...(streamed ? { 'gen_ai.request.stream': true } : {}),
  };
}

/** Tokens stand on the request alone: whoever adds them up over all spans must not count them twice. */
function requestAttributes(record: UsageRecord, serving: Serving): Attributes {
  const { outcome, tokens, stopReason, firstContentUs, code, operation } = record;
  const responseModel = outcome === 'answered' ? serving.upstreamModel(record.model, record.pool) : null;
  const isMetered = tokens.input + tokens.cacheRead + tokens.cacheWrite + tokens.output > 0;
  return {
    ...callAttributes(record, serving.provider(record.pool, record.dialect), record.model),
    ...(responseModel === null ? {} : { 'gen_ai.response.model': responseModel }),
    ...(stopReason === null ? {} : { 'gen_ai.response.finish_reasons': [stopReason.slice(0, STOP_REASON_CHARS_MAX)] }),
    ...(record.streamed && firstContentUs !== null ? { 'gen_ai.response.time_to_first_chunk': firstContentUs / 1e6 } : {}),
    ...(isMetered
      ? {
          'gen_ai.usage.input_tokens': tokens.input + tokens.cacheRead + tokens.cacheWrite,
          'gen_ai.usage.cache_read.input_tokens': tokens.cacheRead,
          'gen_ai.usage.cache_creation.input_tokens': tokens.cacheWrite,
          'gen_ai.usage.output_tokens': tokens.output,
          'plimsoll.usage.estimated': tokens.estimated,
        }
      : {}),
    ...(record.conversation === null ? {} : { 'gen_ai.conversation.id': hashedConversation(record) }),
    ...(outcome === 'answered' ? {} : { 'error.type': code ?? outcome }),
    'http.request.method': 'POST',
    'http.route': ROUTES[operation],
    ...(record.status === 499 ? {} : { 'http.response.status_code': record.status }),
    'plimsoll.request.id': record.id,
    'plimsoll.outcome': outcome,
    'plimsoll.dialect': record.dialect,
    'plimsoll.attempts': record.attempts.length,
    ...(record.organization === null ? {} : { 'plimsoll.organization': record.organization }),
    ...(record.workspace === null ? {} : { 'plimsoll.workspace': record.workspace }),
    ...(record.behavior === null ? {} : { 'plimsoll.behavior': record.behavior }),
    ...(record.pool === null ? {} : { 'plimsoll.pool': record.pool }),
    ...(record.region === null ? {} : { 'plimsoll.region': record.region }),
    ...(record.costMicroUsd === null ? {} : { 'plimsoll.cost_micro_usd': record.costMicroUsd }),
  };
}

function attemptAttributes(attempt: AttemptRecord, index: number): Attributes {
  return {
    'plimsoll.replica': attempt.replica,
    'plimsoll.attempt.number': index + 1,
    'plimsoll.attempt.outcome': attempt.outcome,
    ...(attempt.status === 0 ? {} : { 'http.response.status_code': attempt.status }),
    ...(attempt.outcome === 'answered' ? {} : { 'error.type': attempt.status >= 400 ? String(attempt.status) : attempt.outcome }),
    ...(attempt.firstContentUs === null ? {} : { 'plimsoll.attempt.first_content_us': attempt.firstContentUs }),
    ...(attempt.upstreamRequestId === null ? {} : { 'plimsoll.attempt.upstream_request_id': attempt.upstreamRequestId }),
  };
}

/** Tells traces of one conversation from others, and nobody which one: clients put names and addresses into such ids. */
function hashedConversation({ organization, conversation }: UsageRecord): string {
  return createHash('sha256').update(`${organization}\0${conversation}`).digest('hex').slice(0, 32);
}

interface SpanShape {
  readonly spanId?: string;
  readonly parent: { readonly traceId: string; readonly spanId: string; readonly isRemote: boolean } | null;
  readonly name: string;
  readonly kind: (typeof KIND)[keyof typeof KIND];
  /** Since the request's arrival. */
  readonly startUs: number;
  readonly durationUs: number;
  readonly attributes: Attributes;
  readonly isError: boolean;
}

const SAMPLED = 1;

function toSpan(atMs: number, traceId: string, shape: SpanShape, { random, resource, scope }: SpanParts): ReadableSpan {
  const context = { traceId, spanId: shape.spanId ?? random.hex(8), traceFlags: SAMPLED };
  const startUs = atMs * 1000 + shape.startUs;
  return {
    name: shape.name,
    kind: shape.kind,
    spanContext: () => context,
    ...(shape.parent === null
      ? {}
      : {
          parentSpanContext: {
            traceId,
            spanId: shape.parent.spanId,
            traceFlags: SAMPLED,
            isRemote: shape.parent.isRemote,
          },
        }),
    startTime: toHrTime(startUs),
    endTime: toHrTime(startUs + shape.durationUs),
    duration: toHrTime(shape.durationUs),
    status: shape.isError ? STATUS.error : STATUS.unset,
    attributes: shape.attributes,
    links: [],
    events: [],
    ended: true,
    resource,
    instrumentationScope: scope,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

/** Seconds and nanoseconds. */
export const toHrTime = (us: number): HrTime => [Math.floor(us / 1e6), (us % 1e6) * 1000];
