import type { Refusal } from '#contracts/errors';
import { refusal } from '#contracts/errors';
import type { Prompt } from '#contracts/prompt';
import type { Dialect } from '#contracts/record';
import { err, type Result } from '#core/kernel';
import type { Relay } from './relay.ts';
import type { WholeForClient } from './prepare.ts';

export interface TranslationRequest {
  readonly from: Dialect;
  readonly to: Dialect;
  readonly body: Buffer;
  /** The engine's name for the model. */
  readonly model: string;
}

/** Translates request bodies: small ones here and now, large ones in a thread, so that no other request waits for them. */
export interface Translator {
  request(
    asked: TranslationRequest,
    signal: AbortSignal,
  ): Promise<Result<{ readonly body: Buffer; readonly prompt: Prompt }, Refusal>>;
  close(): Promise<void>;
}

export function createTranslator(): Translator {
  return {
    request: () => Promise.resolve(err(refusal('unsupported_by_engine', 'not translated'))),
    close: () => Promise.resolve(),
  };
}

export interface AnswerTranslation {
  readonly from: Dialect;
  readonly to: Dialect;
  readonly options: {
    readonly model: string;
    readonly includeUsage: boolean;
    readonly createdAtS: number;
    readonly request?: Prompt;
  };
}
export function createTranslationRelay(_translation: AnswerTranslation): Relay {
  throw new Error('pending');
}
export function translateWhole(_translation: AnswerTranslation, _body: Buffer): Result<WholeForClient, Refusal> {
  throw new Error('pending');
}
export function translateUpstreamError(
  _options: { readonly from: Dialect; readonly to: Dialect; readonly status: number; readonly requestId: string },
  body: Buffer,
): Uint8Array {
  return body;
}
