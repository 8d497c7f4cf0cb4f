import type { AnswerError } from '#contracts/answer';
import type { Prompt } from '#contracts/prompt';
import type { FromModel, ToModel } from './protocol.ts';

/** A prompt whose tokens could not be counted; `error` is what a client may be told. */
export class UncountablePrompt extends Error {
  override readonly name = 'UncountablePrompt';
  readonly error: AnswerError;
  constructor(error: AnswerError) {
    super(error.message);
    this.error = error;
  }
}

export interface TokenCounts {
  /** Asks now, and again when the process is ready: counting changes nothing, so a restart in between goes unnoticed. */
  count(prompt: Prompt, signal: AbortSignal): Promise<number>;
  hear(message: FromModel & { kind: 'counted' | 'uncountable' }): void;
  askAgain(): void;
  failAll(error: AnswerError): void;
}

const WAITING_MAX = 256;
const TOO_MANY: AnswerError = {
  status: 529,
  type: 'overloaded_error',
  message: `more than ${WAITING_MAX} prompts wait to be counted`,
};

interface Count {
  readonly prompt: Prompt;
  readonly settle: PromiseWithResolvers<number>;
}

/** Questions for the length of a prompt that are on their way. */
export function createTokenCounts(send: (message: ToModel) => void): TokenCounts {
  const counts = new Map<number, Count>();
  let ids = 0;
  return {
    async count(prompt, signal) {
      signal.throwIfAborted();
      if (counts.size >= WAITING_MAX) throw new UncountablePrompt(TOO_MANY);
      const id = ++ids;
      const settle = Promise.withResolvers<number>();
      const onAbort = (): void => settle.reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      counts.set(id, { prompt, settle });
      send({ kind: 'count', id, prompt });
      try {
        return await settle.promise;
      } finally {
        counts.delete(id);
        signal.removeEventListener('abort', onAbort);
      }
    },
    hear(message) {
      const settle = counts.get(message.id)?.settle;
      if (message.kind === 'counted') settle?.resolve(message.tokens);
      else settle?.reject(new UncountablePrompt(message.error));
    },
    askAgain() {
      for (const [id, { prompt }] of counts) send({ kind: 'count', id, prompt });
    },
    failAll(error) {
      for (const { settle } of counts.values()) settle.reject(new UncountablePrompt(error));
    },
  };
}
