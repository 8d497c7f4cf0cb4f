import type { AnswerError, AnswerEvent } from '#contracts/answer';
import type { Clock, Random } from '#contracts/clock';
import { type Refusal, REFUSALS } from '#contracts/errors';
import type { Prompt } from '#contracts/prompt';
import { type EventWriter, writeErrorBody, type WriterOptions, writeUpstreamErrorBody } from '#dialects';
import { EMBEDDED_DIALECTS, type EmbeddedDialect, readPrompt } from './embedded-dialect.ts';
import type { Engine, EngineCall, EngineHandler, EngineRequest } from './engine.ts';
import type { Generator } from './generator.ts';
import { UncountablePrompt } from './llama/token-counts.ts';
import { createOutlet, type Outlet } from './outlet.ts';
import type { WireEvent, WireGenerator } from './wire-event.ts';

export interface EmbeddedOptions {
  readonly dialect: Engine['dialect'];
  readonly clock: Clock;
  /** Makes the ids of answers and requests. */
  readonly random: Random;
}

const STREAM_HEADERS = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' } as const;

/**
 * Lets a generator be called like any engine: bytes of a dialect in, a status, headers and bytes out. An error before the first
 * event becomes an HTTP error; later, it is an error event in the stream. Aborting tells the generator in the same tick.
 */
export function createEmbeddedEngine(generator: Generator | WireGenerator, options: EmbeddedOptions): Engine {
  const dialect = EMBEDDED_DIALECTS[options.dialect];
  const open = new Set<Outlet>();
  let isClosed = false;

  const run = async (request: EngineRequest, outlet: Outlet, signal: AbortSignal): Promise<void> => {
    // Nothing may arrive before `call` has returned.
    await Promise.resolve();
    const reply = createReply(dialect, outlet, `req_${options.random.hex(12)}`);
    try {
      await answer(generator, { dialect, request, outlet, reply, signal, options });
      if (!outlet.isOver()) outlet.fail({ kind: 'protocol', message: 'the generator stopped before its answer was complete' });
    } catch (cause) {
      if (cause instanceof UncountablePrompt) reply.error(cause.error);
      else if (reply.isBegun()) outlet.fail({ kind: 'protocol', message: 'the generator failed', cause });
      else reply.error({ status: 500, type: 'api_error', message: 'The engine failed.' });
    }
  };
  return {
    dialect: options.dialect,
    operations: dialect.operations,
    call(request: EngineRequest, handler: EngineHandler): EngineCall {
      const controller = new AbortController();
      const outlet = createOutlet(handler);
      if (isClosed) outlet.fail({ kind: 'unreachable', message: 'the engine is closed' });
      else {
        open.add(outlet);
        // `run` ends every failure itself.
        void run(request, outlet, controller.signal).finally(() => open.delete(outlet));
      }
      return {
        abort(reason) {
          outlet.fail({ kind: 'aborted', message: reason.message, cause: reason });
          controller.abort(reason);
        },
        pause: () => outlet.pause(),
        resume: () => outlet.resume(),
      };
    },
    async close() {
      isClosed = true;
      for (const outlet of open) outlet.fail({ kind: 'reset', message: 'the engine was closed' });
      await generator.close();
    },
  };
}

interface Call {
  readonly dialect: EmbeddedDialect;
  readonly request: EngineRequest;
  readonly outlet: Outlet;
  readonly reply: Reply;
  readonly signal: AbortSignal;
  readonly options: EmbeddedOptions;
}

async function answer(generator: Generator | WireGenerator, call: Call): Promise<void> {
  const { dialect, request, outlet, reply, signal, options } = call;
  const read = readPrompt(dialect, request.operation, request.body);
  if (!read.ok) return reply.refusal(read.error);
  const prompt = read.value;
  if (request.operation === 'count_tokens') {
    const tokens = await generator.countTokens(prompt, signal);
    return reply.json(200, JSON.stringify({ input_tokens: tokens }));
  }
  const speaker = prompt.stream ? createStreamSpeaker(call, prompt) : createWholeSpeaker(call, prompt);
  for await (const event of eventsOf(generator, prompt, call)) {
    // A generator that goes on after an abort is read to its end, so that it can come to one; nobody hears it.
    if (outlet.isOver()) continue;
    if (outlet.isPaused()) await outlet.ready();
    if (event.kind === 'wire_reset') outlet.fail({ kind: 'reset', message: 'the simulated connection broke' });
    else if (event.kind === 'wire_error') reply.error(event.error, event.retryAfterS);
    else if (event.kind === 'error' && !reply.isBegun()) reply.error(event.error);
    else if (event.kind === 'start') speaker({ ...event, id: `${dialect.idPrefix}${options.random.hex(12)}` });
    else speaker(event);
  }
}

function eventsOf(generator: Generator | WireGenerator, prompt: Prompt, { request, signal }: Call): AsyncIterable<WireEvent> {
  const context = { isolation: request.isolation, conversation: request.conversation };
  return 'generateWire' in generator
    ? generator.generateWire(prompt, context, signal)
    : generator.generate(prompt, context, signal);
}

type Speaker = (event: AnswerEvent) => void;

function createStreamSpeaker({ dialect, outlet, reply, options }: Call, prompt: Prompt): Speaker {
  let writer: EventWriter | null = null;
  return (event) => {
    reply.beginStream();
    // What the generator says it is goes out, even where that is not what was asked for.
    const model = event.kind === 'start' ? event.model : prompt.model;
    writer ??= dialect.codec.createEventWriter(writerOptions(prompt, model, options));
    outlet.write(writer.write(event));
    if (event.kind === 'end' || event.kind === 'error') outlet.end();
  };
}

function createWholeSpeaker({ dialect, reply, options }: Call, prompt: Prompt): Speaker {
  const events: AnswerEvent[] = [];
  let model = prompt.model;
  return (event) => {
    events.push(event);
    if (event.kind === 'start') model = event.model;
    if (event.kind === 'end')
      reply.json(200, JSON.stringify(dialect.codec.writeAnswer(events, writerOptions(prompt, model, options))));
  };
}

function writerOptions(prompt: Prompt, model: string, { clock }: EmbeddedOptions): WriterOptions {
  return { model, includeUsage: prompt.includeUsage ?? false, createdAtS: Math.floor(clock.wallMs() / 1000), request: prompt };
}

/** Heads and whole bodies. */
interface Reply {
  json(status: number, text: string): void;
  refusal(refusal: Refusal): void;
  error(error: AnswerError, retryAfterS?: number | null): void;
  /** Sends the head of a stream, once. */
  beginStream(): void;
  isBegun(): boolean;
}

function createReply({ codec, requestIdHeader }: EmbeddedDialect, outlet: Outlet, requestId: string): Reply {
  let isBegun = false;
  const head = (status: number, headers: Readonly<Record<string, string>>): void => {
    isBegun = true;
    outlet.head(status, { ...headers, [requestIdHeader]: requestId });
  };
  const json = (status: number, text: string, headers: Readonly<Record<string, string>> = {}): void => {
    head(status, { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)), ...headers });
    outlet.write(text);
    outlet.end();
  };
  return {
    json,
    refusal: (refused) => json(REFUSALS[refused.code].status, writeErrorBody(codec.dialect, refused, requestId)),
    error(error, retryAfterS = null) {
      const headers = retryAfterS === null ? {} : { 'retry-after': String(retryAfterS) };
      json(error.status, writeUpstreamErrorBody(codec.dialect, error, requestId), headers);
    },
    beginStream() {
      if (!isBegun) head(200, STREAM_HEADERS);
    },
    isBegun: () => isBegun,
  };
}
