import type { Clock } from '#contracts/clock';
import type { AnswerProgress } from '#dialects';
import type { Refusal } from '#contracts/errors';
import { refusal } from '#contracts/errors';
import { DeadlineExceeded, NoLongerWanted } from './abort-reasons.ts';
import type { OpenStream } from './attempt.ts';
import type { Life } from './life.ts';
import { refusalOfAbort } from './refusal-of-abort.ts';

export interface StreamOptions {
  readonly clock: Clock;
  /** Longest silence of the engine, ms. */
  readonly idleMs: number;
  readonly onGap: (gapUs: number) => void;
  /** Told of output as it comes; answers why the stream must end here, where a limit says so. */
  readonly onOutput: (progress: AnswerProgress, nowUs: number) => Refusal | null;
}

/** How a stream ended: as its dialect says it should (null), or broken for the reason given. */
export type StreamEnd = Refusal | null;

/** How long an engine may take to end its bytes after its last event; then the connection is not worth keeping. */
const AFTERMATH_MS = 1_000;

/**
 * Stage 7: passes an answer that has begun on to the client, event by event, no faster than the client reads. Returns when the
 * answer is complete, broken, or unwanted; the last event of a broken one is `finish`'s to write.
 */
export function stream(life: Life, open: OpenStream, { clock, idleMs, onGap, onOutput }: StreamOptions): Promise<StreamEnd> {
  const { outgoing, signal } = life;
  const { relay } = open;
  return new Promise((resolve) => {
    let isSettled = false;
    let isPaused = false;
    let lastUs = clock.nowUs();
    let idle = clock.after(idleMs, onIdle);

    const settle = (end: StreamEnd): void => {
      if (isSettled) return;
      isSettled = true;
      idle.cancel();
      signal.unlisten();
      outgoing.off('drain', onDrain);
      resolve(end);
    };
    function onIdle(): void {
      const sinceMs = (clock.nowUs() - lastUs) / 1000;
      // A client that does not read is not an engine that does not write; the total deadline bounds it.
      if (isPaused || sinceMs < idleMs) {
        idle = clock.after(isPaused ? idleMs : idleMs - sinceMs, onIdle);
        return;
      }
      const reason = new DeadlineExceeded('idle');
      settle(refusalOfAbort(reason));
      open.abort(reason);
    }
    const onEnded = (reason: Error): void => {
      settle(refusalOfAbort(reason));
      open.abort(reason);
    };
    const onDrain = (): void => {
      isPaused = false;
      lastUs = clock.nowUs();
      open.resume();
    };
    const send = (pieces: readonly Uint8Array[]): void => {
      if (pieces.length === 0) return;
      const bytes = pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces);
      life.firstContentUs ??= clock.nowUs() - life.startUs;
      life.responseBytes += bytes.length;
      if (!outgoing.write(bytes) && !isPaused) {
        isPaused = true;
        open.pause();
      }
    };

    if (signal.reason) return onEnded(signal.reason);
    signal.listen(onEnded);
    outgoing.on('drain', onDrain);
    open.take({
      onBytes(pieces) {
        if (isSettled) return;
        const now = clock.nowUs();
        onGap(now - lastUs);
        lastUs = now;
        send(pieces);
        if (relay.progress.error) {
          // The engine's own error event has been passed on: it is the last one.
          settle(refusal('upstream_broken', 'The model ended its answer with an error'));
          open.abort(new NoLongerWanted());
        } else if (relay.progress.isComplete) {
          settle(null);
          open.resume(); // nothing of its end is passed on, so a client that reads slowly need not hold it up
          clock.after(AFTERMATH_MS, () => open.abort(new NoLongerWanted()));
        } else {
          const stop = onOutput(relay.progress, now);
          if (stop === null) return;
          settle(stop);
          open.abort(new NoLongerWanted());
        }
      },
      onEnd(failure) {
        if (isSettled) return;
        const { progress } = relay;
        // Some OpenAI servers leave out [DONE]; an answer that said why it stopped, and whose bytes ended well, is whole.
        const isWhole =
          failure === null &&
          progress.error === null &&
          (progress.isComplete || (life.dialect === 'openai_chat' && progress.stopReason !== null));
        settle(isWhole ? null : refusal('upstream_broken', 'The model broke off in the middle of its answer'));
      },
    });
  });
}
