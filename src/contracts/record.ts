import type { RefusalCode } from './errors.ts';

/** A wire format, named as records, metrics and the admin API name it. */
export type Dialect = 'anthropic' | 'openai_chat' | 'openai_responses';

/** What a client may ask a gateway to do with a model. */
export type Operation = 'messages' | 'count_tokens' | 'chat_completions' | 'responses';

/** The stages of a request, in order; each is timed. */
export const STAGES = ['receive', 'authenticate', 'admit', 'screen', 'place', 'attempt', 'stream', 'settle'] as const;
export type Stage = (typeof STAGES)[number];

export type AttemptOutcome =
  | 'answered'
  | 'refused_by_upstream' // a 4xx that is the caller's
  | 'backpressure' // 429 or 529
  | 'failed_before_answer' // 5xx, reset, or an error event before the first content event
  | 'broken_after_content'
  | 'timed_out'
  | 'unreachable'
  | 'aborted'; // the client left, a deadline passed, or we shut down

/** One try at one replica. */
export interface AttemptRecord {
  readonly replica: string;
  readonly outcome: AttemptOutcome;
  /** HTTP status from the replica; 0 when none came. */
  readonly status: number;
  /** The replica's own request id, where it gave one. */
  readonly upstreamRequestId: string | null;
  readonly startUs: number;
  readonly durationUs: number;
  /** From the start of the attempt to its first content event; null when none came. */
  readonly firstContentUs: number | null;
}

/**
 * The one record of one request, appended to the journal when the request has ended, whatever the end. Idempotent by `id`.
 * Integers only: tokens, microseconds, micro-dollars. Never content.
 */
export interface UsageRecord {
  readonly version: 1;
  readonly id: string;
  /** Wall time of arrival, ms since 1970. */
  readonly atMs: number;
  readonly organization: string | null;
  readonly workspace: string | null;
  readonly key: string | null;
  /** The client's own name for its end user, hashed under the organization; null when not said. */
  readonly endUser: string | null;
  readonly conversation: string | null;
  readonly dialect: Dialect;
  readonly operation: Operation;
  readonly streamed: boolean;
  readonly model: string | null;
  /** Content address of the behavior that served, null when none was reached. */
  readonly behavior: string | null;
  readonly pool: string | null;
  readonly region: string | null;
  readonly attempts: readonly AttemptRecord[];
  readonly outcome: Outcome;
  /** HTTP status that the client was sent, 499 when it left before any. */
  readonly status: number;
  /** The refusal or failure, null for an answer. */
  readonly code: RefusalCode | null;
  readonly stopReason: string | null;
  readonly tokens: RecordedTokens;
  /** Micro-dollars; null when the model has no price. */
  readonly costMicroUsd: number | null;
  /** Microseconds spent in each stage that was entered. */
  readonly stagesUs: { readonly [stage in Stage]?: number | undefined };
  /** From arrival to the first content byte handed to the client's socket; null when none. */
  readonly firstContentUs: number | null;
  readonly durationUs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** Which guards ran, by name, and their verdict; one that could not run says `unmeasured`. */
  readonly guards: readonly { readonly guard: string; readonly verdict: 'allow' | 'redact' | 'refuse' | 'unmeasured' }[];
}

/** How a request ended: exactly one of these. */
export type Outcome =
  | 'answered'
  | 'refused' // by us, before an attempt
  | 'refused_by_upstream'
  | 'failed' // no replica could answer
  | 'broken' // ended by an error event after content
  | 'client_gone'
  | 'shut_down';

export interface RecordedTokens {
  readonly input: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly output: number;
  /** True when the engine's final usage never came and `output` (or `input`) was counted by us from what was delivered. */
  readonly estimated: boolean;
}
