import { runControlCall, StoreAway, type ControlStore } from '#storage';
import { messageOf } from './flow.ts';
import type { FromFlowThread, ToFlowThread } from './flow-messages.ts';

/** The thread's side of the control store: carries out the calls that come as messages, from when the store is open. */
export interface ControlHost {
  hear(message: Extract<ToFlowThread, { readonly kind: 'control' }>): void;
  opened(store: ControlStore): void;
}

/**
 * A commit is answered when it survives a power cut, since the embedded engine does not see to that itself; those made while
 * another is made durable share the next time.
 */
export function createControlHost(tell: (message: FromFlowThread) => void): ControlHost {
  let store: ControlStore | null = null;
  let waiting: Parameters<ControlHost['hear']>[0][] = [];
  let persisting: Promise<void> | null = null;
  let nextPersist: Promise<void> | null = null;
  return {
    hear(message) {
      // Bounded by whoever asks: no more calls than that are ever under way.
      if (store === null) waiting.push(message);
      else void carryOut(store, message);
    },
    opened(next) {
      store = next;
      const calls = waiting;
      waiting = [];
      for (const message of calls) void carryOut(next, message);
    },
  };

  /** Never rejects: its failure is an answer too. */
  async function carryOut(on: ControlStore, { id, call }: Parameters<ControlHost['hear']>[0]): Promise<void> {
    try {
      const answer = await runControlCall(on, call);
      if (call.method === 'commit') await persist(on);
      tell({ kind: 'control_answer', id, answer });
    } catch (error) {
      tell({ kind: 'control_failed', id, because: messageOf(error), isAway: error instanceof StoreAway });
    }
  }

  function persist(on: ControlStore): Promise<void> {
    const begin = (): Promise<void> => {
      nextPersist = null;
      persisting = on.persist().finally(() => (persisting = null));
      return persisting;
    };
    if (persisting === null) return begin();
    // The one under way may have begun before our commit; its failure is its own callers'.
    nextPersist ??= persisting.catch(() => undefined).then(begin);
    return nextPersist;
  }
}
