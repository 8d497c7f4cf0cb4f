import type { Clock } from '#contracts/clock';
import type { Engine, EngineCall, EngineFailure, EngineRequest } from '#engines';
import { DeadlineExceeded, NoLongerWanted } from './abort-reasons.ts';
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
 * An abort of `signal` settles it at once; the replica is told in the same tick.
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

export interface AttemptOptions {
  readonly engine: Engine;
  readonly request: EngineRequest;
  /** For a streamed answer: what becomes of its bytes. */
  readonly createRelay: () => Relay;
  readonly clock: Clock;
  readonly firstTokenMs: number;
  readonly answerBytesMax: number;
}

/** Bytes that may be held before the first content: pings and preliminaries. What exceeds them goes out as content. */
const HELD_BYTES_MAX = 262_144;

export function attempt(options: AttemptOptions, signal: AbortSignal): Promise<AttemptResult> {
  const { engine, request, clock, answerBytesMax } = options;
  return new Promise((resolve) => {
    let status = 0;
    let headers: EngineHeaders = {};
    let phase: 'waiting' | 'collecting' | 'gating' | 'open' | 'settled' = 'waiting';
    let relay: Relay | null = null;
    let held: Uint8Array[] = [];
    let heldBytes = 0;
    let sink: StreamSink | null = null;
    let ended: { readonly failure: EngineFailure | null } | null = null;

    const settle = (result: AttemptResult, next: 'open' | 'settled'): void => {
      phase = next;
      timer?.cancel();
      signal.removeEventListener('abort', onAbort);
      resolve(result);
    };
    const fail = (failure: AttemptFailure): void => settle({ kind: 'failed', failure, status, headers }, 'settled');
    const giveUp = (failure: AttemptFailure, reason: Error): void => {
      fail(failure);
      call.abort(reason);
    };
    const onAbort = (): void => giveUp({ kind: 'aborted', message: String(signal.reason) }, signal.reason as Error);

    const openGate = (through: Relay): void => {
      settle(
        {
          kind: 'stream',
          status,
          headers,
          stream: {
            relay: through,
            take(taker) {
              sink = taker;
              if (held.length > 0) taker.onBytes(held);
              held = [];
              if (ended) taker.onEnd(ended.failure);
            },
            abort: (reason) => call.abort(reason),
            pause: () => call.pause(),
            resume: () => call.resume(),
          },
        },
        'open',
      );
    };

    const onStreamed = (through: Relay, pieces: readonly Uint8Array[]): void => {
      if (phase === 'open') {
        if (sink) sink.onBytes(pieces);
        else held.push(...pieces);
        return;
      }
      held.push(...pieces);
      for (const piece of pieces) heldBytes += piece.length;
      const { progress } = through;
      if (progress.hasContent || heldBytes > HELD_BYTES_MAX) openGate(through);
      else if (progress.error)
        giveUp({ kind: 'error_event', status: progress.error.status, message: progress.error.type }, new NoLongerWanted());
    };

    const call: EngineCall = engine.call(request, {
      onHead(answerStatus, answerHeaders) {
        if (phase !== 'waiting') return;
        status = answerStatus;
        headers = answerHeaders;
        if (status !== 200) {
          phase = 'collecting'; // an error, whole whatever was asked for
          return;
        }
        const isEvents = String(answerHeaders['content-type'] ?? '').startsWith('text/event-stream');
        if (isEvents !== request.isStream)
          return giveUp({ kind: 'protocol', message: 'the answer is not of the kind that was asked for' }, new NoLongerWanted());
        phase = isEvents ? 'gating' : 'collecting';
        if (isEvents) relay = options.createRelay();
      },
      onData(chunk) {
        if (phase === 'collecting') {
          held.push(chunk);
          heldBytes += chunk.length;
          if (heldBytes > answerBytesMax)
            giveUp({ kind: 'too_large', message: `the answer exceeds ${answerBytesMax} bytes` }, new NoLongerWanted());
        } else if (relay && (phase === 'gating' || phase === 'open')) {
          const through = relay;
          let pieces: readonly Uint8Array[];
          try {
            pieces = through.push(chunk);
          } catch (error) {
            // An event beyond the bound, or bytes that are not events: as broken as a reset.
            const failure: EngineFailure = { kind: 'protocol', message: 'not a stream of events', cause: error };
            if (phase === 'gating') return giveUp(failure, new NoLongerWanted());
            call.abort(new NoLongerWanted());
            return onEnded(failure);
          }
          onStreamed(through, pieces);
        }
      },
      onEnd() {
        if (phase === 'collecting')
          settle(
            { kind: 'whole', status, headers, body: held.length === 1 ? (held[0] as Buffer) : Buffer.concat(held) },
            'settled',
          );
        else if (phase === 'open') onEnded(null);
        else if (phase === 'gating' || phase === 'waiting') fail({ kind: 'reset', message: 'the answer ended before it began' });
      },
      onError(failure) {
        if (phase === 'open') onEnded(failure);
        else if (phase !== 'settled') fail(failure);
      },
    });
    const onEnded = (failure: EngineFailure | null): void => {
      if (ended) return;
      ended = { failure };
      sink?.onEnd(failure);
    };

    // Only a stream has a first token to wait for; a whole answer comes when it is done, and the total deadline watches that.
    const timer = request.isStream
      ? clock.after(options.firstTokenMs, () => {
          const reason = new DeadlineExceeded('first_token');
          giveUp({ kind: 'timed_out', limit: 'first_token', message: reason.message }, reason);
        })
      : null;
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort);
  });
}
