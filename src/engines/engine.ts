import type { Operation } from '#contracts/record';

/**
 * The one seam to whatever generates. Every engine, remote or embedded, speaks a wire dialect: it takes the bytes of a request
 * in that dialect and answers with a status, headers and the bytes of a response. So metering, the first-chunk gate, screening
 * and translation are written once, above this line. `engine.conformance.ts` is the suite an implementation must pass.
 */
export interface Engine {
  /** What this engine's bytes mean: Anthropic Messages, or OpenAI (Chat Completions, and Responses where `operations` has it). */
  readonly dialect: 'anthropic' | 'openai';
  readonly operations: ReadonlySet<Operation>;
  /**
   * Starts one attempt. Returns at once; everything else arrives through `handler`, in the order head, data…, then exactly one of
   * end or error, none of them before this function has returned. After `abort` only `onError` follows (once).
   */
  call(request: EngineRequest, handler: EngineHandler): EngineCall;
  /** Ends open connections and processes. Calls still open fail. */
  close(): Promise<void>;
}

export interface EngineRequest {
  readonly operation: Operation;
  /** Headers to send, already filtered: none of the client's credentials or cookies are among them. Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly isStream: boolean;
  /** Query string to pass on, with its `?`, or empty (`?beta=true`). */
  readonly query: string;
  /** Cache and sequence isolation: engines of ours never share computed prefixes between two values. Never sent upstream. */
  readonly isolation: string;
  /** Tenant-scoped conversation id, a hint for keeping a sequence; null when none. */
  readonly conversation: string | null;
}

export interface EngineHandler {
  /** The response head. `headers` has lower-case names; a repeated one is joined with `, `. */
  onHead(status: number, headers: Readonly<Record<string, string | string[] | undefined>>): void;
  onData(chunk: Buffer): void;
  onEnd(): void;
  onError(failure: EngineFailure): void;
}

export interface EngineCall {
  /** Cancels the work at the engine; the reason is an Error of ours (`ClientGone`, `DeadlineExceeded`, `ShuttingDown`). */
  abort(reason: Error): void;
  /** Back-pressure: between `pause` and `resume` an engine may deliver what it already holds, and reads no more. */
  pause(): void;
  resume(): void;
}

export interface EngineFailure {
  /** `unreachable`, `connect_timeout`, `saturated`: no connection, so the request was not sent. `reset`: the connection broke. `protocol`: not HTTP, or not what the dialect allows. */
  readonly kind: 'unreachable' | 'connect_timeout' | 'saturated' | 'reset' | 'protocol' | 'aborted';
  /** Words safe for a log: no address from a request, no content. */
  readonly message: string;
  readonly cause?: unknown;
}
