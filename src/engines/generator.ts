import type { AnswerEvent } from '#contracts/answer';
import type { Prompt } from '#contracts/prompt';

/**
 * What an embedded engine implements: a prompt in our words to answer events. `embedded.ts` turns one into an {@link Engine} that
 * speaks Anthropic Messages, so that nothing above the seam knows the difference.
 */
export interface Generator {
  /**
   * Generates one answer. The sequence keeps the laws of `contracts/answer.ts`. When `signal` aborts, generation stops within
   * 250 ms and the iterator ends. A failure is an `error` event, not an exception.
   */
  generate(prompt: Prompt, context: GenerationContext, signal: AbortSignal): AsyncIterable<AnswerEvent>;
  /** Input tokens of a prompt, exact. */
  countTokens(prompt: Prompt, signal: AbortSignal): Promise<number>;
  close(): Promise<void>;
}

export interface GenerationContext {
  /** Computed prefixes are never shared between two values. */
  readonly isolation: string;
  /** Tenant-scoped conversation id: keep its sequence where possible; null when none. */
  readonly conversation: string | null;
}
