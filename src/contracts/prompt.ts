/**
 * What a client asks for, in our words: what every dialect is read into and written from when the client's dialect and the
 * engine's differ, and what embedded engines take. Same-dialect traffic to a remote replica never becomes one of these.
 *
 * `null` means known to be none; an absent key means the client did not say.
 */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

export interface Prompt {
  readonly model: string;
  /** Instructions that stand before the conversation, in order. */
  readonly system: readonly TextPart[];
  readonly turns: readonly Turn[];
  readonly tools: readonly Tool[];
  readonly toolChoice?: ToolChoice;
  /** May the model call more than one tool in a turn? */
  readonly parallelToolCalls?: boolean;
  /** Most tokens to generate, 1 or more. */
  readonly maxOutputTokens?: number;
  readonly stopSequences: readonly string[];
  /** 0 to 2 (OpenAI) or 0 to 1 (Anthropic); not clamped. */
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly seed?: number;
  readonly presencePenalty?: number;
  readonly frequencyPenalty?: number;
  readonly thinking?: Thinking;
  readonly outputFormat?: OutputFormat;
  /** The client's name for its own end user (`metadata.user_id`, `user`, `safety_identifier`). */
  readonly endUser?: string;
  /** `auto` (the engine chooses), `default` (standard service only), or a vendor's own word. */
  readonly serviceTier?: string;
  /** A mark on the request as a whole: cache up to the last part that can be. */
  readonly cache?: CacheMark;
  readonly stream: boolean;
  /** OpenAI's `stream_options.include_usage`; Anthropic and Responses always say usage. */
  readonly includeUsage?: boolean;
}

export interface Turn {
  readonly role: 'user' | 'assistant' | 'system';
  readonly parts: readonly Part[];
}

export type Part =
  | TextPart
  | ImagePart
  | DocumentPart
  | ToolCallPart
  | ToolResultPart
  | ThinkingPart
  | RedactedThinkingPart
  | RefusalPart;

/** A mark to cache the prompt up to and including this part. */
export interface CacheMark {
  readonly ttl: '5m' | '1h';
}

export interface TextPart {
  readonly kind: 'text';
  readonly text: string;
  readonly cache?: CacheMark;
}
export interface ImagePart {
  readonly kind: 'image';
  readonly source:
    | { readonly kind: 'url'; readonly url: string }
    | { readonly kind: 'base64'; readonly mediaType: string; readonly data: string };
  /** OpenAI's `detail`. */
  readonly detail?: 'auto' | 'low' | 'high' | 'original';
  readonly cache?: CacheMark;
}
export interface DocumentPart {
  readonly kind: 'document';
  readonly source:
    | { readonly kind: 'url'; readonly url: string }
    | { readonly kind: 'base64'; readonly mediaType: string; readonly data: string }
    | { readonly kind: 'text'; readonly text: string };
  readonly title?: string;
  /** What the client says about the document, beside its text. */
  readonly context?: string;
  readonly cache?: CacheMark;
}
export interface ToolCallPart {
  readonly kind: 'tool_call';
  readonly id: string;
  readonly name: string;
  /** The arguments as the JSON text of an object, exactly as the model wrote them. */
  readonly arguments: string;
  readonly cache?: CacheMark;
}
export interface ToolResultPart {
  readonly kind: 'tool_result';
  readonly callId: string;
  readonly parts: readonly (TextPart | ImagePart)[];
  readonly isError?: boolean;
  readonly cache?: CacheMark;
}
export interface ThinkingPart {
  readonly kind: 'thinking';
  readonly text: string;
  /** Signed thinking may only go back to the engine family that signed it. */
  readonly signature?: string;
}
export interface RedactedThinkingPart {
  readonly kind: 'redacted_thinking';
  readonly data: string;
}
/** What an assistant said when it refused (OpenAI's `refusal` content). */
export interface RefusalPart {
  readonly kind: 'refusal';
  readonly text: string;
}

export interface Tool {
  readonly name: string;
  readonly description?: string;
  /** JSON Schema of the arguments object. */
  readonly schema: JsonObject;
  readonly strict?: boolean;
  readonly cache?: CacheMark;
}

export type ToolChoice =
  | { readonly kind: 'auto' }
  | { readonly kind: 'any' }
  | { readonly kind: 'none' }
  | { readonly kind: 'tool'; readonly name: string };

/** How much work to put in, of thinking and of words; each dialect has its own subset. */
export type Effort = 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' | 'max';

/** How the model thinks before it answers. `effort` alone leaves whether it thinks to the engine. */
export type Thinking =
  | { readonly kind: 'disabled'; readonly effort?: Effort }
  | {
      readonly kind: 'enabled';
      readonly budgetTokens: number;
      readonly display?: ThinkingDisplay;
      readonly effort?: Effort;
    }
  | { readonly kind: 'adaptive'; readonly display?: ThinkingDisplay; readonly effort?: Effort }
  | { readonly kind: 'effort'; readonly effort: Effort };

/** Whether the answer shows a summary of the thinking, or only a signature of it. */
export type ThinkingDisplay = 'summarized' | 'omitted';

export type OutputFormat =
  | { readonly kind: 'text' }
  | { readonly kind: 'json_object' }
  | {
      readonly kind: 'json_schema';
      readonly name: string;
      readonly schema: JsonObject;
      readonly strict?: boolean;
      readonly description?: string;
    };
