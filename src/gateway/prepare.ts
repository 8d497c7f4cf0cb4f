import { refusal, type Refusal } from '#contracts/errors';
import type { Dialect, Operation } from '#contracts/record';
import { err, invariant, ok, type Result } from '#core/kernel';
import {
  createPassthrough,
  newProgress,
  parseJson,
  readWholeAnswer,
  spliceRequest,
  type AnswerProgress,
  type Splice,
} from '#dialects';
import type { Engine, EngineRequest } from '#engines';
import type { Door } from './door.ts';
import type { Life } from './life.ts';
import type { Received } from './receive.ts';
import type { Relay } from './relay.ts';
import type { Place } from './topology.ts';
import { createTranslationRelay, translateWhole, translateUpstreamError } from './translation.ts';

/** One request made ready for one place: what to send there, and what becomes of what comes back. */
export interface Prepared {
  readonly request: EngineRequest;
  createRelay(): Relay;
  /** A whole answer (status 200) for the client, with what metering needs; an error when it is not an answer. */
  readWhole(body: Buffer): Result<WholeForClient, Refusal>;
  /** The body of an error that is the caller's own, for the client. */
  readError(status: number, body: Buffer): Uint8Array;
}

export interface WholeForClient {
  readonly body: readonly Uint8Array[];
  readonly progress: AnswerProgress;
}

/**
 * Makes a request ready for the place chosen for it: spliced when the engine speaks the client's dialect, translated when it does
 * not. Only a large translation takes time, so only that is a promise.
 */
export function prepare(
  life: Life,
  received: Received,
  door: Door,
): Result<Prepared, Refusal> | Promise<Result<Prepared, Refusal>> {
  const { place } = life;
  invariant(place !== null, 'a request is prepared for a place');
  const { engine } = place.replica;
  if (engine.operations.has(life.operation)) return ok(passThrough(life, received, place, door));
  if (life.operation === 'count_tokens')
    return err(refusal('unsupported_by_engine', 'The engines that serve this model cannot count tokens', { param: 'model' }));
  return translate(life, received, place, door);
}

/** The dialect an engine's bytes are in, for an operation. */
function dialectOf(engine: Engine, operation: Operation): Dialect {
  return engine.dialect === 'anthropic' ? 'anthropic' : operation === 'responses' ? 'openai_responses' : 'openai_chat';
}

function passThrough(life: Life, { bytes, fields, asked }: Received, place: Place, { config }: Door): Prepared {
  const isRenamed = place.upstreamModel !== asked.model;
  const asksUsage = life.dialect === 'openai_chat' && asked.isStream && asked.streamOptions?.['include_usage'] !== true;
  const splices = spliceRequest(
    fields,
    { upstreamModel: isRenamed ? place.upstreamModel : null, askUsage: asksUsage },
    { bodyEnd: bytes.lastIndexOf(0x7d), streamOptions: asked.streamOptions },
  );
  return {
    request: engineRequest(life, life.operation, applySplices(bytes, splices)),
    createRelay() {
      const passthrough = createPassthrough({
        dialect: life.dialect,
        model: isRenamed ? asked.model : null,
        dropUsage: asksUsage,
        frameBytesMax: config.bounds.answer_bytes,
      });
      return { push: passthrough.push, end: () => [], progress: passthrough.progress };
    },
    readWhole(body) {
      const answer = readWholeAnswer(life.dialect, body, ({ start, end }) => body.toString('utf8', start, end));
      if (answer === null) return err(refusal('upstream_broken', 'The model answered with something that is not JSON'));
      const progress = {
        ...newProgress(),
        hasContent: true,
        isComplete: true,
        hasFinalUsage: answer.usage.output !== undefined,
        usage: answer.usage,
        stopReason: answer.stopReason,
      };
      if (!isRenamed || answer.model === null) return ok({ body: [body], progress });
      const { start, end } = answer.model;
      return ok({ body: [body.subarray(0, start), Buffer.from(JSON.stringify(asked.model)), body.subarray(end)], progress });
    },
    // A page of some proxy before the engine is not an error of the dialect, and may name hosts that are nobody's business.
    readError: (status, body) =>
      isJsonObject(body) ? body : translateUpstreamError({ to: life.dialect, status, requestId: life.id }, body),
  };
}

async function translate(life: Life, received: Received, place: Place, door: Door): Promise<Result<Prepared, Refusal>> {
  const operation = place.replica.engine.dialect === 'anthropic' ? 'messages' : 'chat_completions';
  const from = life.dialect;
  const to = dialectOf(place.replica.engine, operation);
  const translated = await door.translator.request(
    { from, to, body: received.bytes, model: place.upstreamModel, capField: place.pool.capField },
    life.signal,
  );
  if (!translated.ok) return translated;
  const writer = {
    model: received.asked.model,
    includeUsage: received.asked.streamOptions?.['include_usage'] === true,
    createdAtS: Math.floor(life.atMs / 1000),
    request: translated.value.prompt,
  };
  return ok({
    request: engineRequest(life, operation, translated.value.body),
    createRelay: () => createTranslationRelay({ from: to, to: from, options: writer }, door.config.bounds.answer_bytes),
    readWhole: (body) => translateWhole({ from: to, to: from, options: writer }, body),
    readError: (status, body) => translateUpstreamError({ to: from, status, requestId: life.id }, body),
  });
}

function engineRequest(life: Life, operation: Operation, body: Buffer): EngineRequest {
  return {
    operation,
    headers: forwardedHeaders(life, operation),
    body,
    isStream: life.isStream,
    // The only query that the real API has on these paths; nothing else of a client's URL reaches a replica.
    query: operation === life.operation && life.incoming.url?.endsWith('?beta=true') ? '?beta=true' : '',
    // Engines of ours share computed prefixes inside a workspace only.
    isolation: `${life.caller?.organization ?? ''}/${life.caller?.workspace ?? ''}`,
    conversation: life.conversation,
  };
}

/** Headers of the client that mean something to the engine. All others, credentials and cookies above all, end here. */
const FORWARDED: Readonly<Record<'anthropic' | 'openai', readonly string[]>> = {
  anthropic: ['anthropic-version', 'anthropic-beta', 'traceparent', 'tracestate'],
  openai: ['openai-beta', 'traceparent', 'tracestate'],
};
/** What requests that we wrote ourselves follow. */
const TRANSLATED_VERSION = '2023-06-01';

function forwardedHeaders({ incoming, isStream, dialect }: Life, operation: Operation): Readonly<Record<string, string>> {
  const family = operation === 'messages' || operation === 'count_tokens' ? 'anthropic' : 'openai';
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    accept: isStream ? 'text/event-stream' : 'application/json',
  };
  if (family === 'anthropic' && dialect !== 'anthropic') headers['anthropic-version'] = TRANSLATED_VERSION;
  if ((family === 'anthropic') !== (dialect === 'anthropic')) return headers;
  for (const name of FORWARDED[family]) {
    const value = incoming.headers[name];
    if (typeof value === 'string') headers[name] = value;
  }
  return headers;
}

function isJsonObject(body: Buffer): boolean {
  const parsed = parseJson(body.toString('utf8'));
  return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed);
}

function applySplices(bytes: Buffer, splices: readonly Splice[]): Buffer {
  if (splices.length === 0) return bytes;
  const pieces: Buffer[] = [];
  let from = 0;
  for (const { start, end, text } of splices) {
    pieces.push(bytes.subarray(from, start), Buffer.from(text));
    from = end;
  }
  pieces.push(bytes.subarray(from));
  return Buffer.concat(pieces);
}
