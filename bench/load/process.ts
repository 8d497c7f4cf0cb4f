// The load generator in a process of its own: takes orders over IPC, one at a time, and answers each with an outcome.
import { runCancel } from './cancel.ts';
import { runClosedLoop } from './closed-loop.ts';
import type { Order, Outcome } from './order.ts';
import { runProbe } from './probe.ts';
import { runStreams } from './streams.ts';

const scratch = Buffer.alloc(256 * 1024);

async function carryOut(order: Order, onPhase: (phase: 'measuring' | 'measured') => void): Promise<Outcome> {
  switch (order.kind) {
    case 'probe':
      return runProbe(order, scratch);
    case 'closed-loop':
      return runClosedLoop(order, scratch, onPhase);
    case 'streams':
      return runStreams(order, scratch, onPhase);
    case 'cancel':
      return runCancel(order, scratch);
  }
}

process.on('message', (message: { readonly id: number; readonly order: Order }) => {
  void carryOut(message.order, (phase) => process.send?.({ kind: phase, id: message.id })).then(
    (value) => process.send?.({ kind: 'done', id: message.id, value }),
    (error: unknown) => process.send?.({ kind: 'failed', id: message.id, message: String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
process.send?.({ kind: 'listening', port: null });
