import { MARKERS } from '../mock/answers.ts';
import { createMarkerCounter } from '../wire/marker-counter.ts';
import { openConnection, type Connection } from './connection.ts';
import { createTimes, distributionOf, recordMs } from './distribution.ts';
import { createFailureTally } from './failures.ts';
import type { Order, StreamsOutcome } from './order.ts';
import { requestBytes } from './request-bytes.ts';

const STUCK_MS = 20_000;
const FAILURES_IN_A_ROW_MAX = 5;

/**
 * Reads streams on keep-alive connections: time to the first content event, gaps between content events, total time, and every
 * content event that should have come and did not. Events that come in one read have gaps of zero, which is what a client sees.
 */
export function runStreams(
  order: Order & { readonly kind: 'streams' },
  scratch: Buffer,
  onPhase: (phase: 'measuring' | 'measured') => void,
): Promise<StreamsOutcome> {
  const bytes = requestBytes(order.target);
  const markers = MARKERS[order.target.dialect];
  const firstEvent = createTimes();
  const gap = createTimes();
  const total = createTimes();
  const failures = createFailureTally();
  let streams = 0;
  let events = 0;
  let eventsLost = 0;
  let measuredFromMs = 0;
  let isMeasuring = false;
  let isOver = order.durationMs === 0;
  let live = order.connections;

  return new Promise((resolve) => {
    const open = new Set<Connection>();
    const settle = (): void => {
      clearTimeout(stuckTimer);
      const elapsedMs = performance.now() - measuredFromMs;
      onPhase('measured');
      resolve({
        kind: 'streams',
        streams,
        elapsedMs,
        events,
        eventsLost,
        firstEvent: distributionOf(firstEvent),
        gap: distributionOf(gap),
        total: distributionOf(total),
        failures,
      });
    };
    const retire = (): void => {
      live -= 1;
      if (live === 0) settle();
    };

    const start = (failedInARow: number): void => {
      const events_ = createMarkerCounter(markers.event);
      const ends = createMarkerCounter(markers.end);
      let sentAtMs = 0;
      let lastEventMs = 0;
      let seen = 0;
      let isEnded = false;
      let status = 0;
      let isWaiting = false;
      let isCounted = false;
      let inARow = failedInARow;
      const send = (): void => {
        events_.reset();
        ends.reset();
        seen = 0;
        isEnded = false;
        status = 0;
        isWaiting = true;
        isCounted = isMeasuring;
        sentAtMs = performance.now();
        connection.write(bytes);
      };
      const account = (nowMs: number, failure: 'badStatus' | 'cutShort' | 'socket' | null): void => {
        isWaiting = false;
        const isWhole = failure === null && isEnded;
        inARow = isWhole ? 0 : inARow + 1;
        if (!isCounted) return;
        if (isWhole) {
          streams += 1;
          recordMs(total, nowMs - sentAtMs);
        } else failures[failure ?? 'cutShort'] += 1;
        eventsLost += Math.max(0, order.eventsPerStream - seen);
      };
      const connection = openConnection(order.target.port, scratch, {
        ready: send,
        head: (code) => (status = code),
        body(buffer, from, to) {
          const nowMs = performance.now();
          const found = events_.count(buffer, from, to);
          if (ends.count(buffer, from, to) > 0) isEnded = true;
          if (found === 0) return;
          if (isCounted) {
            events += found;
            for (let index = 0; index < found; index += 1) {
              if (seen === 0 && index === 0) recordMs(firstEvent, nowMs - sentAtMs);
              else recordMs(gap, index === 0 ? nowMs - lastEventMs : 0);
            }
          }
          seen += found;
          lastEventMs = nowMs;
        },
        end(keepAlive) {
          account(performance.now(), status === 200 ? null : 'badStatus');
          if (isOver) {
            open.delete(connection);
            connection.drop();
            retire();
          } else if (keepAlive && inARow < FAILURES_IN_A_ROW_MAX) send();
        },
        closed(isCutShort) {
          open.delete(connection);
          if (isWaiting || status === 0) account(performance.now(), isCutShort ? 'cutShort' : 'socket');
          if (isOver || inARow >= FAILURES_IN_A_ROW_MAX) retire();
          else start(inARow);
        },
      });
      open.add(connection);
    };

    const stuckTimer = setTimeout(
      () => {
        failures.stuck += open.size;
        eventsLost += open.size * order.eventsPerStream;
        for (const connection of open) connection.drop();
        settle();
      },
      order.rampMs + order.warmUpMs + order.durationMs + STUCK_MS,
    );
    const measure = (): void => {
      onPhase('measuring');
      measuredFromMs = performance.now();
      isMeasuring = true;
      if (order.durationMs > 0) setTimeout(() => (isOver = true), order.durationMs);
    };
    if (order.warmUpMs === 0) measure();
    else setTimeout(measure, order.warmUpMs);
    for (let index = 0; index < order.connections; index += 1) {
      if (order.rampMs === 0) start(0);
      else setTimeout(start, (index * order.rampMs) / order.connections, 0);
    }
  });
}
