import type { Timer } from '#contracts/clock';
import type { Engine, EngineCall, EngineFailure, EngineHandler } from '#engines';
import { DeadlineExceeded, NoLongerWanted } from './abort-reasons.ts';
import type { Door } from './door.ts';
import type { EndSignal } from './end-signal.ts';
import type { Prepared } from './prepare.ts';
import type { Relay } from './relay.ts';

/**
 * Stage 6, one try at one replica. It ends in one of three ways:
 *
 * - `stream`: content has begun; what came before it is held here, and the rest follows when the caller takes it.
 * - `whole`: an answer or an error that is complete in memory. Whole answers wait for their last byte, so that one that breaks
 *   half way can still move to another replica instead of reaching the client cut short.
 * - `failed`: nothing has reached the client, whatever the replica did: refused, reset, an error event after its 200 and
 *   before its first content (the first-chunk gate), silence.
 *
 * The end of `signal` settles it at once; the replica is told in the same tick.
 */
export type AttemptResult =
  | { readonly kind: 'stream'; readonly status: number; readonly headers: EngineHeaders; readonly stream: OpenStream }
  | { readonly kind: 'whole'; readonly status: number; readonly headers: EngineHeaders; readonly body: Buffer }
  | { readonly kind: 'failed'; readonly failure: AttemptFailure; readonly status: number; readonly headers: EngineHeaders };

export type EngineHeaders = Readonly<Record<string, string | string[] | undefined>>;

export type AttemptFailure =
  | EngineFailure
  | { readonly kind: 'error_event'; readonly status: number; readonly message: string }
  | { readonly kind: 'timed_out'; readonly limit: 'first_token'; readonly message: string }
  | { readonly kind: 'too_large'; readonly message: string };

/** A stream whose content has begun. */
export interface OpenStream {
  readonly relay: Relay;
  /** Hands over everything held so far and all that follows. Called once. */
  take(sink: StreamSink): void;
  abort(reason: Error): void;
  pause(): void;
  resume(): void;
}

export interface StreamSink {
  onBytes(pieces: readonly Uint8Array[]): void;
  /** The engine's bytes have ended; null when they ended as they should by HTTP. */
  onEnd(failure: EngineFailure | null): void;
}

export function attempt(engine: Engine, prepared: Prepared, door: Door, signal: EndSignal): Promise<AttemptResult> {
  return new Promise((resolve) => new Attempt(prepared, door, signal, resolve).start(engine));
}

/** Bytes that may be held before the first content: pings and preliminaries. What exceeds them goes out as content. */
const HELD_BYTES_MAX = 262_144;

/**
 * - `waiting`: nothing has come. A head moves it to `collecting` (anything whole) or `gating` (a stream).
 * - `collecting`: until the last byte, then `settled`.
 * - `gating`: until content begins, then `open`; an error event or the end before that is a failure: `settled`.
 * - `open`: the caller has the result; events go to its sink until the end.
 * - `settled`: whatever still comes is ignored.
 */
type Phase = 'waiting' | 'collecting' | 'gating' | 'open' | 'settled';

/** A class, because one is made for every attempt: a dozen closures would be two kilobytes. */
class Attempt implements EngineHandler, OpenStream {
  readonly #prepared: Prepared;
  readonly #door: Door;
  readonly #signal: EndSignal;
  readonly #resolve: (result: AttemptResult) => void;
  #call: EngineCall | null = null;
  #timer: Timer | null = null;
  #phase: Phase = 'waiting';
  #status = 0;
  #headers: EngineHeaders = {};
  #relay: Relay | null = null;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #sink: StreamSink | null = null;
  #ended: { readonly failure: EngineFailure | null } | null = null;

  constructor(prepared: Prepared, door: Door, signal: EndSignal, resolve: (result: AttemptResult) => void) {
    this.#prepared = prepared;
    this.#door = door;
    this.#signal = signal;
    this.#resolve = resolve;
  }

  start(engine: Engine): void {
    const { request } = this.#prepared;
    const { clock, config } = this.#door;
    this.#call = engine.call(request, this);
    // Only a stream has a first token to wait for; a whole answer comes when it is done, and the total deadline watches that.
    if (request.isStream) this.#timer = clock.after(config.timeouts.first_token_ms, () => this.#onSilence());
    const onEnd = (reason: Error): void => this.#giveUp({ kind: 'aborted', message: reason.message }, reason);
    if (this.#signal.reason) onEnd(this.#signal.reason);
    else this.#signal.listen(onEnd);
  }

  onHead(status: number, headers: EngineHeaders): void {
    if (this.#phase !== 'waiting') return;
    this.#status = status;
    this.#headers = headers;
    if (status !== 200) {
      this.#phase = 'collecting'; // an error, whole whatever was asked for
      return;
    }
    const isEvents = /^text\/event-stream\b/i.test(String(headers['content-type'] ?? ''));
    const isPlain = (headers['content-encoding'] ?? 'identity') === 'identity'; // as it was asked for
    if (isEvents !== this.#prepared.request.isStream || !isPlain)
      return this.#giveUp(
        { kind: 'protocol', message: 'the answer is not of the kind that was asked for' },
        new NoLongerWanted(),
      );
    this.#phase = isEvents ? 'gating' : 'collecting';
    if (isEvents) this.#relay = this.#prepared.createRelay();
  }

  onData(chunk: Buffer): void {
    if (this.#phase === 'collecting') this.#collect(chunk);
    else if (this.#relay && (this.#phase === 'gating' || this.#phase === 'open')) this.#pass(this.#relay, chunk);
  }

  onEnd(): void {
    if (this.#phase === 'collecting') {
      const body = this.#held.length === 1 ? (this.#held[0] as Buffer) : Buffer.concat(this.#held);
      this.#settle({ kind: 'whole', status: this.#status, headers: this.#headers, body }, 'settled');
    } else if (this.#phase === 'open') {
      if (this.#relay) this.#pass(this.#relay, null);
      this.#onEnded(null);
    } else if (this.#phase !== 'settled') this.#fail({ kind: 'reset', message: 'the answer ended before it began' });
  }

  onError(failure: EngineFailure): void {
    if (this.#phase === 'open') this.#onEnded(failure);
    else if (this.#phase !== 'settled') this.#fail(failure);
  }

  get relay(): Relay {
    return this.#relay as Relay; // an `OpenStream` is handed out only once there is one
  }

  take(sink: StreamSink): void {
    this.#sink = sink;
    if (this.#held.length > 0) sink.onBytes(this.#held);
    this.#held = [];
    if (this.#ended) sink.onEnd(this.#ended.failure);
  }

  abort(reason: Error): void {
    this.#call?.abort(reason);
  }

  pause(): void {
    this.#call?.pause();
  }

  resume(): void {
    this.#call?.resume();
  }

  #collect(chunk: Buffer): void {
    const { answer_bytes: answerBytesMax } = this.#door.config.bounds;
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes > answerBytesMax)
      this.#giveUp({ kind: 'too_large', message: `the answer exceeds ${answerBytesMax} bytes` }, new NoLongerWanted());
  }

  /** @param chunk - the engine's next bytes, null after the last */
  #pass(relay: Relay, chunk: Buffer | null): void {
    let pieces: readonly Uint8Array[];
    try {
      pieces = chunk === null ? relay.end() : relay.push(chunk);
    } catch (error) {
      // An event beyond the bound, or bytes that are not events: as broken as a reset.
      const failure: EngineFailure = { kind: 'protocol', message: 'not a stream of events', cause: error };
      if (this.#phase === 'gating') return this.#giveUp(failure, new NoLongerWanted());
      this.abort(new NoLongerWanted());
      return this.#onEnded(failure);
    }
    if (this.#phase === 'open' && this.#sink) return this.#sink.onBytes(pieces);
    this.#held.push(...pieces);
    if (this.#phase === 'open') return;
    for (const piece of pieces) this.#heldBytes += piece.length;
    const { error, hasContent } = relay.progress;
    if (hasContent || this.#heldBytes > HELD_BYTES_MAX)
      this.#settle({ kind: 'stream', status: this.#status, headers: this.#headers, stream: this }, 'open');
    else if (error) this.#giveUp({ kind: 'error_event', status: error.status, message: error.type }, new NoLongerWanted());
  }

  #onSilence(): void {
    const reason = new DeadlineExceeded('first_token');
    this.#giveUp({ kind: 'timed_out', limit: 'first_token', message: reason.message }, reason);
  }

  #onEnded(failure: EngineFailure | null): void {
    if (this.#ended) return;
    this.#ended = { failure };
    this.#sink?.onEnd(failure);
  }

  #fail(failure: AttemptFailure): void {
    this.#settle({ kind: 'failed', failure, status: this.#status, headers: this.#headers }, 'settled');
  }

  #giveUp(failure: AttemptFailure, reason: Error): void {
    this.#fail(failure);
    this.abort(reason);
  }

  #settle(result: AttemptResult, next: 'open' | 'settled'): void {
    this.#phase = next;
    this.#timer?.cancel();
    this.#signal.unlisten();
    this.#resolve(result);
  }
}
