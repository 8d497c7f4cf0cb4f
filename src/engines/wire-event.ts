import type { AnswerError, AnswerEvent } from '#contracts/answer';
import type { Prompt } from '#contracts/prompt';
import type { GenerationContext, Generator } from './generator.ts';

/** An answer event, or what happens below a dialect, where no event can say it. */
export type WireEvent =
  | AnswerEvent
  /** An HTTP error instead of an answer. Only ever first. */
  | { readonly kind: 'wire_error'; readonly error: AnswerError; readonly retryAfterS: number | null }
  /** The connection breaks; nothing follows. */
  | { readonly kind: 'wire_reset' };

/** A generator that also decides what happens on the wire: a stand-in for a remote engine that misbehaves. */
export interface WireGenerator extends Generator {
  generateWire(prompt: Prompt, context: GenerationContext, signal: AbortSignal): AsyncIterable<WireEvent>;
}
