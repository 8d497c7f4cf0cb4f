import type { AnswerEvent } from '#contracts/answer';
import type { Refusal } from '#contracts/errors';
import type { Json, JsonObject, Prompt } from '#contracts/prompt';
import type { Dialect } from '#contracts/record';
import { ok, type Result } from '#core/kernel';
import { anthropicCodec } from './anthropic/codec.ts';
import { brokenStream } from './broken-stream.ts';
import type { Codec, WriterOptions } from './codec.ts';
import { readErrorBody, writeUpstreamErrorBody } from './errors.ts';
import { createFrameReader } from './frames.ts';
import { openaiChatCodec } from './openai-chat/codec.ts';
import { newProgress, type AnswerProgress } from './passthrough/progress.ts';
import { responsesCodec } from './responses/responses-codec.ts';

const CODECS: Readonly<Record<Dialect, Codec>> = {
  anthropic: anthropicCodec,
  openai_chat: openaiChatCodec,
  openai_responses: responsesCodec,
};

export interface RequestTranslation {
  /** The client's dialect. */
  readonly from: Dialect;
  /** The engine's dialect. */
  readonly to: Dialect;
  /** The client's parsed body. */
  readonly body: Json;
  /** The model's name at the engine. */
  readonly model: string;
  /** What an OpenAI engine calls the cap on output; `max_completion_tokens` for OpenAI's own reasoning models. Default `max_tokens`. */
  readonly capField?: 'max_tokens' | 'max_completion_tokens';
}

export interface TranslatedRequest {
  /** For the engine. An Anthropic one is to be sent with `WRITTEN_VERSION`. */
  readonly body: JsonObject;
  /** What the client asked for, in its own words: the model's public name, usage only where it asked for it. */
  readonly prompt: Prompt;
}

/**
 * A request of one dialect as a request of another. Refuses with `invalid_request` what breaks the client's dialect, and with
 * `unsupported_by_engine` what the engine's cannot say; docs/dialects.md lists every decision.
 */
export function translateRequest({ from, to, body, model, capField }: RequestTranslation): Result<TranslatedRequest, Refusal> {
  const prompt = CODECS[from].readRequest(body);
  if (!prompt.ok) return prompt;
  // Usage is what metering rests on, so an engine is always asked for it.
  const written = CODECS[to].writeRequest({ ...prompt.value, model, ...(prompt.value.stream && { includeUsage: true }) });
  if (!written.ok) return written;
  return ok({ body: withCapField(written.value, to, capField), prompt: prompt.value });
}

function withCapField(body: JsonObject, to: Dialect, capField: RequestTranslation['capField']): JsonObject {
  if (to !== 'openai_chat' || capField !== 'max_completion_tokens' || body.max_tokens === undefined) return body;
  const { max_tokens: cap, ...rest } = body;
  return { ...rest, max_completion_tokens: cap };
}

export interface AnswerTranslation {
  /** The engine's dialect. */
  readonly from: Dialect;
  /** The client's dialect. */
  readonly to: Dialect;
  readonly options: WriterOptions;
}

/** A whole answer of the engine's dialect as one of the client's; `upstream_broken` where it is not an answer, or cannot be said. */
export function translateAnswer({
  from,
  to,
  body,
  options,
}: AnswerTranslation & { readonly body: Json }): Result<TranslatedAnswer, Refusal> {
  const events = CODECS[from].readAnswer(body);
  if (!events.ok) return events;
  const progress = newProgress();
  for (const event of events.value) note(progress, event);
  return ok({ body: CODECS[to].writeAnswer(events.value, options), progress });
}

export interface TranslatedAnswer {
  readonly body: JsonObject;
  /** Usage and stop reason, as a stream of the same answer would have left them. */
  readonly progress: AnswerProgress;
}

/** Translates one streamed answer. */
export interface AnswerTranslator {
  /** Takes the engine's next bytes, split anywhere, and returns the text of the client's events that they complete. */
  push(chunk: Uint8Array): string;
  /** The engine's bytes have ended, well or not. An answer that was not complete gets its error event here. */
  end(): string;
  /** What is known of the answer after the last push; `stopReason` in our words. */
  readonly progress: AnswerProgress;
}

/**
 * @param frameUnitsMax - longest event taken from the engine, in UTF-16 units; past it the answer ends in an error
 */
export function createAnswerTranslator({ from, to, options }: AnswerTranslation, frameUnitsMax?: number): AnswerTranslator {
  const frames = createFrameReader(frameUnitsMax);
  const reader = CODECS[from].createEventReader();
  const writer = CODECS[to].createEventWriter(options);
  const progress = newProgress();

  const write = (events: readonly AnswerEvent[]): string => {
    const pieces: string[] = [];
    for (const event of events) {
      note(progress, event);
      pieces.push(writer.write(event));
    }
    return pieces.join('');
  };
  const overflow = (): string =>
    frames.isOverflown && !isOver(progress)
      ? write([{ kind: 'error', error: brokenStream('it sent an event that is too long') }])
      : '';

  return {
    push(chunk) {
      if (isOver(progress)) return '';
      const events = frames.push(chunk).flatMap((frame) => reader.read(frame.name, frame.data));
      return write(events) + overflow();
    },
    end() {
      if (isOver(progress)) return '';
      const events = frames.end().flatMap((frame) => reader.read(frame.name, frame.data));
      return write([...events, ...reader.end()]);
    },
    progress,
  };
}

/** An engine's error body (status 400 or more) in the client's dialect, as JSON text, and what it said. */
export function translateError({ to, status, body, requestId }: ErrorTranslation): TranslatedError {
  const error = readErrorBody(status, body);
  return { body: writeUpstreamErrorBody(to, error, requestId), error };
}

export interface ErrorTranslation {
  /** The client's dialect; the engine's is seen from the envelope. */
  readonly to: Dialect;
  readonly status: number;
  /** The parsed body, undefined when it was not JSON. */
  readonly body: Json | undefined;
  readonly requestId: string;
}

export interface TranslatedError {
  readonly body: string;
  readonly error: { readonly status: number; readonly type: string; readonly message: string };
}

function isOver({ isComplete, error }: AnswerProgress): boolean {
  return isComplete || error !== null;
}

/** Notes an event as the side readers of untranslated streams do, so that both are metered alike. */
function note(progress: AnswerProgress, event: AnswerEvent): void {
  switch (event.kind) {
    case 'start':
      progress.usage = event.usage;
      return;
    case 'usage':
      progress.usage = { ...progress.usage, ...event.usage };
      if (event.usage.output !== undefined) progress.hasFinalUsage = true;
      return;
    case 'delta':
      progress.hasContent = true;
      if (event.delta.kind === 'signature') return;
      progress.contentEvents += 1;
      progress.contentBytes += (event.delta.kind === 'arguments' ? event.delta.json : event.delta.text).length;
      return;
    case 'stop':
      progress.hasContent = true;
      progress.stopReason = event.reason;
      return;
    case 'end':
      progress.isComplete = true;
      return;
    case 'error':
      progress.error = event.error;
      return;
    default: // blocks that begin and end, and pings, carry nothing yet
  }
}
