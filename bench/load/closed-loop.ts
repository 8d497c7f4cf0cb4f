import { openConnection, type Connection } from './connection.ts';
import { createTimes, distributionOf, recordMs } from './distribution.ts';
import { createFailureTally } from './failures.ts';
import type { ClosedLoopOutcome, Order } from './order.ts';
import { requestBytes } from './request-bytes.ts';

/** After so long without an answer to what is still open, the run ends and counts it as stuck. */
const STUCK_MS = 10_000;
/** A connection that failed so often in a row stops trying: the system is down, and hammering it measures nothing. */
const FAILURES_IN_A_ROW_MAX = 20;

/**
 * Keeps `connections` requests in flight, each connection sending its next request when it has the answer to the last.
 * @param onPhase - told when the measured span begins and ends, for the caller to read the processes' clocks at the same moments
 */
export function runClosedLoop(
  order: Order & { readonly kind: 'closed-loop' },
  scratch: Buffer,
  onPhase: (phase: 'measuring' | 'measured') => void,
): Promise<ClosedLoopOutcome> {
  const bytes = requestBytes(order.target);
  const times = createTimes();
  const failures = createFailureTally();
  let requests = 0;
  let reconnects = 0;
  let isMeasuring = false;
  let isOver = false;
  let measuredFromMs = 0;
  let elapsedMs = 0;
  let live = order.connections;

  return new Promise((resolve) => {
    const waiting = new Set<Connection>();
    const settle = (): void => {
      clearTimeout(stuckTimer);
      resolve({ kind: 'closed-loop', requests, elapsedMs, latency: distributionOf(times), failures, reconnects });
    };
    const retire = (): void => {
      live -= 1;
      if (live === 0 && isOver) settle();
    };

    const start = (failedInARow: number): void => {
      let sentAtMs = 0;
      let status = 0;
      let isWaiting = false;
      let inARow = failedInARow;
      const send = (): void => {
        status = 0;
        isWaiting = true;
        sentAtMs = performance.now();
        connection.write(bytes);
      };
      const connection = openConnection(order.target.port, scratch, {
        ready: send,
        head: (seen) => (status = seen),
        body: () => undefined,
        end(keepAlive) {
          const nowMs = performance.now();
          isWaiting = false;
          inARow = status === 200 ? 0 : inARow + 1;
          if (isMeasuring) {
            if (status === 200) {
              requests += 1;
              recordMs(times, nowMs - sentAtMs);
            } else failures.badStatus += 1;
          }
          if (isOver) {
            waiting.delete(connection);
            connection.drop();
            retire();
          } else if (keepAlive && inARow < FAILURES_IN_A_ROW_MAX) send();
        },
        closed(isCutShort) {
          waiting.delete(connection);
          if (isMeasuring && isWaiting) failures[isCutShort ? 'cutShort' : 'socket'] += 1;
          // A server may close between answers; one that closes on a request has failed it.
          const failed = isWaiting || status === 0 ? inARow + 1 : inARow;
          if (isOver || failed >= FAILURES_IN_A_ROW_MAX) return retire();
          reconnects += 1;
          start(failed);
        },
      });
      waiting.add(connection);
    };

    const stuckTimer = setTimeout(
      () => {
        failures.stuck += waiting.size;
        for (const connection of waiting) connection.drop();
        settle();
      },
      order.warmUpMs + order.durationMs + STUCK_MS,
    );
    setTimeout(() => {
      onPhase('measuring');
      measuredFromMs = performance.now();
      isMeasuring = true;
      setTimeout(() => {
        elapsedMs = performance.now() - measuredFromMs;
        isMeasuring = false;
        isOver = true;
        onPhase('measured');
        if (live === 0) settle();
      }, order.durationMs);
    }, order.warmUpMs);
    for (let index = 0; index < order.connections; index += 1) start(0);
  });
}
