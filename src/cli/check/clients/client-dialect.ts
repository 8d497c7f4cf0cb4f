import type { SseEvent } from '../sse.ts';
import type { ScriptedStop } from '../replica/script.ts';

export type DialectName = 'anthropic' | 'openai-chat' | 'openai-responses';
export const DIALECT_NAMES: readonly DialectName[] = ['anthropic', 'openai-chat', 'openai-responses'];

/** A question in words of no dialect. */
export interface Question {
  readonly model: string;
  readonly text: string;
  readonly stream: boolean;
  readonly maxTokens: number;
  /** Offers tools with these names. */
  readonly tools: readonly string[];
}

/** What a client makes of an answer, in words of no dialect. */
export interface Heard {
  readonly id: string;
  readonly model: string;
  readonly text: string;
  readonly thinking: string;
  readonly signature: string;
  readonly tools: readonly { readonly id: string; readonly name: string; readonly json: string }[];
  /** The dialect's own word for why the answer stopped. */
  readonly stop: string | null;
  readonly usage: HeardUsage | null;
  readonly error: { readonly type: string; readonly message: string } | null;
  /** It ended as its dialect says an answer ends. */
  readonly isComplete: boolean;
  /** Laws of the dialect that the answer broke. */
  readonly problems: readonly string[];
}

/** Whole tokens; `input` counts what was not read from a cache. */
export interface HeardUsage {
  readonly input: number;
  readonly cacheRead: number;
  readonly output: number;
}

/** One dialect, as its clients speak it: what they send, and what they make of answers. */
export interface ClientDialect {
  readonly name: DialectName;
  readonly path: string;
  readonly requestIdHeader: string;
  /** A field without which the API refuses a request. */
  readonly requiredField: string;
  headers(key: string | null): Readonly<Record<string, string>>;
  body(question: Question): Readonly<Record<string, unknown>>;
  hearWhole(body: unknown): Heard;
  hearStream(events: readonly SseEvent[]): Heard;
  /** What is wrong with the body of an error, as this dialect's clients need it; empty when nothing is. */
  errorProblems(status: number, body: unknown): readonly string[];
  readonly stops: Readonly<Record<ScriptedStop, string>>;
}

/** What is being heard, while it is. */
export interface Hearing {
  id: string;
  model: string;
  text: string;
  thinking: string;
  signature: string;
  readonly tools: { id: string; name: string; json: string }[];
  stop: string | null;
  usage: HeardUsage | null;
  error: { readonly type: string; readonly message: string } | null;
  isComplete: boolean;
  readonly problems: string[];
}

export function beginHearing(): Hearing {
  return {
    id: '',
    model: '',
    text: '',
    thinking: '',
    signature: '',
    tools: [],
    stop: null,
    usage: null,
    error: null,
    isComplete: false,
    problems: [],
  };
}
