import type { Clock, Timer } from '#contracts/clock';
import type { Counter } from '../metrics.ts';
import type { Sender } from './sender.ts';
import type { FinishedRequest } from './spans-of.ts';

/** Finished requests on their way to a collector. A request pays for an entry in a list; spans are made when they are sent. */
export interface TraceQueue {
  offer(finished: FinishedRequest): void;
  /** Sends what waits, until it is gone or an export fails. */
  drain(): Promise<void>;
  /** Ends it; what still waits is dropped, and counted. */
  close(): number;
}

export interface TraceQueueOptions<T> {
  readonly sender: Sender<T>;
  readonly makeSpans: (batch: readonly FinishedRequest[]) => T;
  readonly clock: Clock;
  readonly dropped: Counter;
  /** How long the first of a batch waits for others, and how long a failed export is left alone. */
  readonly delayMs: number;
}

/** Requests that wait; a record takes some kilobytes at most. */
const QUEUE_MAX = 2048;
/** About 300 spans, which take a millisecond to make and write: no stream may stutter because a batch is sent. */
const BATCH_MAX = 32;

export function createTraceQueue<T>({ sender, makeSpans, clock, dropped, delayMs }: TraceQueueOptions<T>): TraceQueue {
  const queue: FinishedRequest[] = [];
  let timer: Timer | null = null;
  let sending: Promise<void> | null = null;
  /** After a failure: a collector in trouble is asked again after the delay, however much waits. */
  let isResting = false;
  let isClosed = false;

  const send = async (): Promise<void> => {
    while (queue.length > 0 && !isClosed) {
      const batch = queue.splice(0, BATCH_MAX);
      isResting = !(await sender.send(() => makeSpans(batch)));
      if (!isResting) continue;
      dropped.add(batch.length, 'export_failed');
      return;
    }
  };
  const start = (): Promise<void> => {
    timer?.cancel();
    timer = null;
    // `send` cannot fail: the sender turns every failure into an answer.
    sending ??= send().finally(() => {
      sending = null;
      if (queue.length > 0) schedule(delayMs);
    });
    return sending;
  };
  const schedule = (afterMs: number): void => {
    timer?.cancel();
    timer = isClosed ? null : clock.after(afterMs, () => void start());
  };

  return {
    offer(finished) {
      if (isClosed || queue.length >= QUEUE_MAX) return dropped.add(1, isClosed ? 'shutdown' : 'queue_full');
      queue.push(finished);
      if (sending !== null) return;
      if (timer === null) schedule(delayMs);
      else if (queue.length === BATCH_MAX && !isResting) schedule(0);
    },
    async drain() {
      if (sending !== null) await sending;
      await start();
    },
    close() {
      isClosed = true;
      timer?.cancel();
      const left = queue.splice(0).length;
      if (left > 0) dropped.add(left, 'shutdown');
      return left;
    },
  };
}
