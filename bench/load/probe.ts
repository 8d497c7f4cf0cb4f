import { openConnection } from './connection.ts';
import type { Order, ProbeOutcome } from './order.ts';
import { requestBytes } from './request-bytes.ts';

const GIVE_UP_MS = 5000;

/** One request, its answer read whole. Status 0: no answer. */
export function runProbe(order: Order & { readonly kind: 'probe' }, scratch: Buffer): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    let status = 0;
    let body = '';
    const settle = (): void => {
      clearTimeout(timer);
      resolve({ kind: 'probe', status, body });
    };
    const timer = setTimeout(() => {
      connection.drop();
      settle();
    }, GIVE_UP_MS);
    const connection = openConnection(order.target.port, scratch, {
      ready: () => connection.write(requestBytes(order.target)),
      head: (seen) => (status = seen),
      body: (buffer, start, end) => (body += buffer.toString('utf8', start, end)),
      end() {
        connection.drop();
        settle();
      },
      closed: settle,
    });
  });
}
