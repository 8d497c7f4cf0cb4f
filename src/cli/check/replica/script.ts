/** Why a scripted answer stops, in words of no dialect. */
export type ScriptedStop = 'end' | 'max_tokens' | 'tool' | 'refusal';

export type ScriptedPart =
  | { readonly kind: 'text'; readonly pieces: readonly string[] }
  | { readonly kind: 'thinking'; readonly pieces: readonly string[]; readonly signature: string }
  /** `pieces` of the arguments' JSON, cut anywhere. */
  | { readonly kind: 'tool'; readonly id: string; readonly name: string; readonly pieces: readonly string[] };

/** What the replica answers. Tokens are whole; `input` counts what was not read from a cache. */
export interface ScriptedAnswer {
  readonly parts: readonly ScriptedPart[];
  readonly stop: ScriptedStop;
  readonly usage: { readonly input: number; readonly cacheRead: number; readonly output: number };
}

/** What goes wrong on the way. `afterPieces` counts pieces of content that are sent before it. */
export type Fault =
  | { readonly kind: 'http_error'; readonly status: number; readonly message: string; readonly headers?: Record<string, string> }
  /** Says nothing more, for ever. `before_head`: not even a status. */
  | { readonly kind: 'stall'; readonly at: 'before_head' | { readonly afterPieces: number } }
  /** Breaks the connection. */
  | { readonly kind: 'reset'; readonly at: 'before_head' | { readonly afterPieces: number } }
  /** Ends the response as HTTP says, in the middle of the answer. */
  | { readonly kind: 'cut'; readonly afterPieces: number }
  | { readonly kind: 'error_event'; readonly afterPieces: number }
  /** A 200 that is a web page. */
  | { readonly kind: 'garbage' };

export interface Script {
  readonly answer: ScriptedAnswer;
  readonly fault?: Fault;
  /** `bytes`: every byte in a write of its own, so that characters and events are cut anywhere. */
  readonly delivery?: 'events' | 'bytes';
  /** Waited for before each piece of content, from 0. */
  readonly beforePiece?: (index: number) => Promise<void>;
}

const SCRIPTED_USAGE = { input: 21, cacheRead: 0, output: 7 } as const;

/** An answer of plain text. */
export function say(...pieces: readonly string[]): ScriptedAnswer {
  return { parts: [{ kind: 'text', pieces }], stop: 'end', usage: SCRIPTED_USAGE };
}
