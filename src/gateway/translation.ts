import { Worker } from 'node:worker_threads';
import { refusal, type Refusal } from '#contracts/errors';
import type { Dialect } from '#contracts/record';
import { err, invariant, ok, type Result } from '#core/kernel';
import { createAnswerTranslator, parseJson, translateAnswer, translateError, type AnswerTranslation } from '#dialects';
import type { EndSignal } from './end-signal.ts';
import type { WholeForClient } from './prepare.ts';
import { refusalOfAbort } from './refusal-of-abort.ts';
import type { Relay } from './relay.ts';
import { workOnBody, type BodyTranslation, type BodyWork, type TranslatedBody } from './translate-body.ts';

/** Works on whole bodies: small ones here and now, large ones in a thread, so that no other request waits for them. */
export interface Translator {
  request(asked: BodyTranslation, signal: EndSignal): Promise<Result<TranslatedBody, Refusal>>;
  /** Anthropic's rules of a version about what stands inside `messages`; the first that is broken, or null. */
  checkVersion(version: string | undefined, body: Buffer, signal: EndSignal): Promise<Refusal | null>;
  close(): Promise<void>;
}

/** A body of this size takes a millisecond or two to parse, translate and write; a larger one goes to the thread. */
const INLINE_BYTES_MAX = 131_072;
/** Bodies that wait for the thread; they are counted in the bound on body memory too. */
const WAITING_MAX = 64;

type Worked = Result<TranslatedBody | null, Refusal>;
type Settle = (result: Worked) => void;

export function createTranslator(): Translator {
  let worker: Worker | null = null;
  let nextId = 0;
  const waiting = new Map<number, Settle>();

  const failAll = (): void => {
    for (const settle of waiting.values()) settle(err(refusal('internal', 'Internal error')));
    waiting.clear();
    worker = null;
  };
  const start = (): Worker => {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const started = new Worker(new URL(`./translate-thread.${extension}`, import.meta.url));
    started.unref();
    started.on(
      'message',
      ({ id, result }: { readonly id: number; readonly result: Result<TranslatedBody<Uint8Array> | null, Refusal> }) => {
        const settle = waiting.get(id);
        waiting.delete(id);
        settle?.(result.ok ? ok(result.value && { ...result.value, body: Buffer.from(result.value.body) }) : result);
      },
    );
    // The thread died (out of memory, say): its requests fail, and the next one starts another.
    started.on('error', failAll);
    started.on('exit', failAll);
    return started;
  };

  const work = (asked: BodyWork, bytes: number, signal: EndSignal): Promise<Worked> => {
    if (bytes <= INLINE_BYTES_MAX) return Promise.resolve(workOnBody(asked));
    if (waiting.size >= WAITING_MAX)
      return Promise.resolve(
        err(refusal('overloaded', 'Too many large requests are waiting; try again shortly', { retryAfterMs: 1_000 })),
      );
    return new Promise((resolve) => {
      const id = nextId++;
      const onEnded = (reason: Error): void => settle(err(refusalOfAbort(reason)));
      const settle: Settle = (result) => {
        waiting.delete(id);
        signal.unlisten();
        resolve(result);
      };
      if (signal.reason) return onEnded(signal.reason);
      signal.listen(onEnded);
      waiting.set(id, settle);
      worker ??= start();
      worker.postMessage({ id, work: asked });
    });
  };

  return {
    async request(asked, signal) {
      const worked = await work({ kind: 'translate', asked }, asked.body.length, signal);
      if (!worked.ok) return worked;
      invariant(worked.value !== null, 'a translation is a body');
      return ok(worked.value);
    },
    async checkVersion(version, body, signal) {
      const worked = await work({ kind: 'check_version', version, body }, body.length, signal);
      return worked.ok ? null : worked.error;
    },
    async close() {
      await worker?.terminate();
    },
  };
}

/** A streamed answer of the engine's dialect on its way to a client of another. */
export function createTranslationRelay(translation: AnswerTranslation, eventBytesMax: number): Relay {
  const translator = createAnswerTranslator(translation, eventBytesMax);
  const pieces = (text: string): readonly Uint8Array[] => (text === '' ? [] : [Buffer.from(text)]);
  return { push: (chunk) => pieces(translator.push(chunk)), end: () => pieces(translator.end()), progress: translator.progress };
}

/** A whole answer of the engine's dialect, for a client of another. */
export function translateWhole(translation: AnswerTranslation, body: Buffer): Result<WholeForClient, Refusal> {
  const parsed = parseJson(body.toString('utf8'));
  if (parsed === undefined) return err(refusal('upstream_broken', 'The model answered with something that is not JSON'));
  const translated = translateAnswer({ ...translation, body: parsed });
  if (!translated.ok) return translated;
  return ok({ body: [Buffer.from(JSON.stringify(translated.value.body))], progress: translated.value.progress });
}

/** An error that the engine gave the caller, in the caller's dialect. */
export function translateUpstreamError(
  options: { readonly to: Dialect; readonly status: number; readonly requestId: string },
  body: Buffer,
): Uint8Array {
  return Buffer.from(translateError({ ...options, body: parseJson(body.toString('utf8')) }).body);
}
