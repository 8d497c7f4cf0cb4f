import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { Config } from '#contracts/config';
import { refusal, type Refusal } from '#contracts/errors';
import { err, ok, type Result } from '#core/kernel';
import {
  ASKED_FIELDS,
  checkVersion,
  createJsonScanner,
  readAsked,
  type Asked,
  type JsonScanner,
  type ScannedFields,
  type ScanProblem,
  type Span,
} from '#dialects';
import { DeadlineExceeded } from './abort-reasons.ts';
import { gatherBody } from './gather.ts';
import type { Door } from './door.ts';
import type { Life } from './life.ts';
import { refusalOfAbort } from './refusal-of-abort.ts';

/** A request's body: whole, well formed, within bounds, and read as far as the gateway needs. */
export interface Received {
  readonly bytes: Buffer;
  readonly fields: ScannedFields;
  readonly asked: Asked;
}

/** The body bytes of all requests together, so that many large bodies cannot take the memory of the process. */
export interface BodyMemory {
  bytes: number;
}

/** Stage 1a, before anything is known of the caller: what the head alone says. */
export function receiveHead({ incoming, dialect }: Life, { bounds }: Config): Refusal | null {
  const encoding = incoming.headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity')
    return refusal(
      'unsupported_encoding',
      'content-encoding: compressed request bodies are not accepted; send the body as it is',
      { param: 'content-encoding' },
    );
  const length = Number(incoming.headers['content-length'] ?? 0);
  if (length > bounds.body_bytes) return tooLarge(bounds.body_bytes);
  return dialect === 'anthropic' ? checkVersion(versionOf(incoming), null) : null;
}

/** Stage 1b: takes the body in, checking its bytes as they come, and reads the fields on which the gateway acts. */
export function receiveBody(life: Life, { config, clock, memory, tenants }: Door): Promise<Result<Received, Refusal>> {
  const { incoming, signal } = life;
  const { bounds } = config;
  const scanner = createJsonScanner({ depthMax: bounds.json_depth, valuesMax: bounds.json_values, wanted: ASKED_FIELDS });
  return new Promise((resolve, reject) => {
    const body = gatherBody(incoming.headers['content-length'] === undefined ? null : Number(incoming.headers['content-length']));
    let isDone = false;
    const done = (result: Result<Received, Refusal>): void => {
      isDone = true;
      timer.cancel();
      signal.unlisten();
      // What is still to come of a refused body is read and dropped by `finish`, until the connection is closed.
      resolve(result);
    };
    const end = (reason: Error): void => done(err(refusalOfAbort(reason)));
    const timer = clock.after(config.timeouts.body_ms, () => end(new DeadlineExceeded('body')));
    if (signal.reason) return end(signal.reason);
    signal.listen(end);
    incoming.on('data', (chunk: Buffer) => {
      if (isDone) return;
      life.requestBytes += chunk.length;
      if (life.requestBytes > bounds.body_bytes) return done(err(tooLarge(bounds.body_bytes)));
      if (memory.bytes + chunk.length > bounds.bodies_bytes) return done(err(tooManyBodies()));
      memory.bytes += chunk.length;
      life.heldBytes += chunk.length;
      const problem = scanner.push(chunk);
      if (problem) return done(err(refusalOfScan(problem)));
      body.add(chunk);
    });
    incoming.on('end', () => {
      if (isDone) return;
      try {
        done(readBody(life, tenants, scanner, body.whole()));
      } catch (error) {
        reject(error as Error); // thrown out of a listener it would end the process
      }
    });
  });
}

/** A body that is whole: well formed, and read as far as the gateway needs. */
function readBody(life: Life, tenants: Door['tenants'], scanner: JsonScanner, bytes: Buffer): Result<Received, Refusal> {
  const scanned = scanner.end();
  if (scanned.kind !== 'fields') return err(refusalOfScan(scanned));
  if (!isUtf8(bytes)) return err(refusal('invalid_request', 'The request body is not valid UTF-8'));
  const asked = readAsked(life.dialect, life.operation, scanned.fields, ({ start, end }) => bytes.toString('utf8', start, end));
  if (!asked.ok) return asked;
  const broken = life.dialect === 'anthropic' ? checkSampling(versionOf(life.incoming), asked.value) : null;
  if (broken) return err(broken);
  const conversation = conversationOf(life.incoming, asked.value);
  if (!conversation.ok) return conversation;
  life.conversation = conversation.value;
  const { endUser } = asked.value;
  life.endUser = endUser === null || life.caller === null ? null : tenants.endUserId(life.caller.organization, endUser);
  life.isStream = asked.value.isStream;
  life.tail = tailOf(scanned.fields.get('messages') ?? scanned.fields.get('input'), bytes);
  return ok({ bytes, fields: scanned.fields, asked: asked.value });
}

/** Bytes of a prompt's end that are looked at for repetition. */
const TAIL_BYTES = 1_024;

/** A copy, so that it does not hold a body of megabytes. */
function tailOf(span: Span | undefined, bytes: Buffer): Buffer | null {
  return span === undefined ? null : Buffer.from(bytes.subarray(Math.max(span.start, span.end - TAIL_BYTES), span.end));
}

/** The conversation's id: from headers or body, and one only. */
function conversationOf(incoming: IncomingMessage, asked: Asked): Result<string | null, Refusal> {
  const found: { field: string; id: string }[] = [...asked.conversations];
  for (const field of ['x-claude-code-session-id', 'x-session-id']) {
    const id = incoming.headers[field];
    if (typeof id === 'string' && id !== '') found.push({ field, id: id.slice(0, 256) });
  }
  const other = found.find(({ id }) => id !== found[0]?.id);
  if (found[0] && other)
    return err(
      refusal('conflicting_conversation', `${found[0].field} and ${other.field} name two different conversations; send one`, {
        param: other.field,
      }),
    );
  return ok(found[0]?.id ?? null);
}

const tooManyBodies = (): Refusal =>
  refusal('overloaded', 'Too many request bodies are in memory; try again shortly', { retryAfterMs: 1_000 });

const tooLarge = (bodyBytesMax: number): Refusal =>
  refusal('request_too_large', `Request exceeds the maximum size of ${bodyBytesMax} bytes`);

function refusalOfScan(problem: ScanProblem): Refusal {
  switch (problem.kind) {
    case 'malformed':
      return refusal('invalid_request', `The request body is not valid JSON (at byte ${problem.at})`);
    case 'not_an_object':
      return refusal('invalid_request', 'The request body must be a JSON object');
    case 'too_deep':
      return refusal('invalid_request', `The request body is nested too deeply (at byte ${problem.at})`);
    case 'too_many_values':
      return refusal('invalid_request', `The request body has too many values (at byte ${problem.at})`);
    case 'duplicate_key':
      return refusal(
        'invalid_request',
        `${problem.key}: given more than once`,
        problem.key === undefined ? {} : { param: problem.key },
      );
  }
}

export function versionOf(incoming: IncomingMessage): string | undefined {
  const version = incoming.headers['anthropic-version'];
  return typeof version === 'string' ? version : undefined;
}

/** Words without which no rule of a version that looks inside `messages` can be broken. */
const VERSIONED_WORDS = ['"document"', '"citations"'] as const;

/** The rules of Anthropic's API version about fields that have been read anyway. */
const checkSampling = (version: string | undefined, { sampling }: Asked): Refusal | null =>
  checkVersion(version, Object.fromEntries(sampling.map((field) => [field, null])));

/**
 * Could this body break a rule of its version about what stands inside `messages`? Only then is it parsed for them, which takes
 * long for a large one.
 */
export function needsVersionCheck({ dialect, incoming }: Life, { bytes }: Received): boolean {
  if (dialect !== 'anthropic' || versionOf(incoming) === OLDEST_VERSION) return false;
  return VERSIONED_WORDS.some((word) => bytes.includes(word));
}

const OLDEST_VERSION = '2023-06-01';
