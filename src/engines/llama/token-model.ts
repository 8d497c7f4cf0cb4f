import type { Result } from '#core/kernel';
import type { ChatMessage } from './read-prompt.ts';
import type { Sampler } from './sampler.ts';

/** A loaded model, as the batch loop sees it. `load-model.ts` makes one of llama.cpp. */
export interface TokenModel {
  /** Most tokens of one conversation, prompt and answer together. */
  readonly contextTokens: number;
  /** As many generations as can run side by side; each has one to itself while it runs. */
  readonly sequences: readonly TokenSequence[];
  /** The tokens of a conversation laid out by the model's template, or why it cannot be, in words safe to show. */
  tokenize(messages: readonly ChatMessage[]): Result<readonly number[], string>;
  /** The text of `tokens`, given those just before them; control tokens have none. */
  detokenize(tokens: readonly number[], before: readonly number[]): string;
}

/** One place for a conversation's keys and values. Calls on one sequence never overlap; those on several become one batch. */
export interface TokenSequence {
  /** What is in the cache now, in order. */
  tokens(): readonly number[];
  /** How many tokens were ever computed on this sequence, counted where they are handed to llama.cpp. */
  computedTokens(): number;
  /** Erases everything from `length` on. */
  truncate(length: number): Promise<void>;
  /** Computes tokens without drawing a next one. */
  read(tokens: readonly number[]): Promise<void>;
  /** Computes the last tokens of a prompt and draws from there on; only what the grammar (GBNF) allows, where there is one. */
  write(tokens: readonly number[], sampler: Sampler, grammar: string | null): TokenWriter;
}

export interface TokenWriter {
  /** The next token; null when the model ended its turn. */
  next(): Promise<number | null>;
  /** Frees what drawing needs. The cache stays as it is. */
  end(): Promise<void>;
}
