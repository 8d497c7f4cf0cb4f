/**
 * What an engine answers, in our words, as a sequence of events. Every dialect's stream is read into these and written from
 * them, and a whole answer is the same sequence at once. Laws that readers keep and writers may rely on:
 * one `start` first; block indices are contiguous from 0 and blocks do not overlap; deltas only inside their block;
 * then one `stop`; then one `end`, or an `error` at any time, after either of which nothing follows. `usage` and `ping` may come
 * anywhere after `start`, also between `stop` and `end`.
 */
export type AnswerEvent =
  | { readonly kind: 'start'; readonly id: string; readonly model: string; readonly usage: TokenUsage }
  | { readonly kind: 'block_start'; readonly index: number; readonly block: BlockStart }
  | { readonly kind: 'delta'; readonly index: number; readonly delta: BlockDelta }
  | { readonly kind: 'block_end'; readonly index: number }
  /** Usage so far; each field replaces the earlier one, never adds. */
  | { readonly kind: 'usage'; readonly usage: TokenUsage }
  | { readonly kind: 'stop'; readonly reason: StopReason; readonly stopSequence?: string; readonly refusal?: RefusalDetails }
  | { readonly kind: 'end' }
  | { readonly kind: 'error'; readonly error: AnswerError }
  | { readonly kind: 'ping' };

export type BlockStart =
  | { readonly kind: 'text' }
  | { readonly kind: 'thinking' }
  | { readonly kind: 'redacted_thinking'; readonly data: string }
  | { readonly kind: 'tool_call'; readonly id: string; readonly name: string }
  /** Text in which the model declines (OpenAI's `refusal` field). */
  | { readonly kind: 'refusal' };

export type BlockDelta =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'thinking'; readonly text: string }
  | { readonly kind: 'signature'; readonly signature: string }
  /** A piece of the JSON text of a tool call's arguments. */
  | { readonly kind: 'arguments'; readonly json: string }
  | { readonly kind: 'refusal'; readonly text: string };

export type StopReason = 'end_turn' | 'max_tokens' | 'stop_sequence' | 'tool_use' | 'pause_turn' | 'refusal' | 'context_window';

export interface RefusalDetails {
  readonly category: string | null;
  readonly explanation: string | null;
}

export interface AnswerError {
  /** HTTP status that the engine would have used, e.g. 529 for `overloaded_error`. */
  readonly status: number;
  /** The engine's own word for it (`overloaded_error`, `server_error`). */
  readonly type: string;
  readonly message: string;
}

/** Whole tokens, by kind. Total input is the sum of the three input kinds; `thinking` is a part of `output`. Absent: not said. */
export interface TokenUsage {
  /** Input that was neither read from nor written to a prompt cache. */
  readonly input?: number;
  readonly cacheRead?: number;
  readonly cacheWrite?: number;
  readonly output?: number;
  readonly thinking?: number;
}
