import { MARKERS } from '../mock/answers.ts';
import { createMarkerCounter } from '../wire/marker-counter.ts';
import { nowNs } from '../wire/monotonic.ts';
import { openConnection } from './connection.ts';
import { createFailureTally } from './failures.ts';
import type { CancelOutcome, Order } from './order.ts';
import { requestBytes } from './request-bytes.ts';

const GIVE_UP_MS = 5000;

/** Opens tagged requests, a few at a time, drops each connection in the middle, and notes when. The mock notes what it saw. */
export async function runCancel(order: Order & { readonly kind: 'cancel' }, scratch: Buffer): Promise<CancelOutcome> {
  const failures = createFailureTally();
  const dropped: { readonly tag: number; readonly atNs: number }[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < order.clients) {
      const tag = order.firstTag + next;
      next += 1;
      const ending = await dropOne(order, tag, scratch);
      if (ending.kind === 'dropped') dropped.push({ tag, atNs: ending.atNs });
      else failures[ending.kind] += 1;
    }
  };
  await Promise.all(Array.from({ length: order.concurrency }, worker));
  return { kind: 'cancel', dropped, failures };
}

type Ending =
  | { readonly kind: 'dropped'; readonly atNs: number }
  | { readonly kind: 'badStatus' | 'cutShort' | 'socket' | 'stuck' };

function dropOne(order: Order & { readonly kind: 'cancel' }, tag: number, scratch: Buffer): Promise<Ending> {
  return new Promise((resolve) => {
    const events = createMarkerCounter(MARKERS[order.target.dialect].event);
    let seen = 0;
    const settle = (ending: Ending): void => {
      clearTimeout(timer);
      resolve(ending);
    };
    const drop = (): void => {
      const atNs = nowNs();
      connection.drop();
      settle({ kind: 'dropped', atNs });
    };
    let timer = setTimeout(() => {
      connection.drop();
      settle({ kind: 'stuck' });
    }, GIVE_UP_MS);
    const connection = openConnection(order.target.port, scratch, {
      ready() {
        connection.write(requestBytes(order.target, tag));
        if (order.afterEvents > 0) return;
        clearTimeout(timer);
        timer = setTimeout(drop, order.waitMs);
      },
      head(status) {
        if (status === 200) return;
        connection.drop();
        settle({ kind: 'badStatus' });
      },
      body(buffer, from, to) {
        if (order.afterEvents === 0 || seen >= order.afterEvents) return;
        seen += events.count(buffer, from, to);
        if (seen >= order.afterEvents) drop();
      },
      end: () => settle({ kind: 'cutShort' }),
      closed: (isCutShort) => settle({ kind: isCutShort ? 'cutShort' : 'socket' }),
    });
  });
}
