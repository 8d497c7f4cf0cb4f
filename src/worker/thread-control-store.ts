import type { Clock } from '#contracts/clock';
import { createBoundedStore, StoreAway, type ControlStore } from '#storage';
import type { FromFlowThread, ToFlowThread } from './flow-messages.ts';

/** The control store of another thread, as this one sees it. */
export interface ThreadControlStore {
  readonly store: ControlStore;
  hear(message: Extract<FromFlowThread, { readonly kind: 'control_answer' | 'control_failed' }>): void;
  /** The thread has ended: nothing that was asked of it will be answered. */
  lost(because: string): void;
}

const CALL_MS = 8_000;

/** @param send - posts to the thread; false while there is none */
export function createThreadControlStore({
  clock,
  send,
}: {
  readonly clock: Clock;
  readonly send: (message: ToFlowThread) => boolean;
}): ThreadControlStore {
  const asked = new Map<number, PromiseWithResolvers<unknown>>();
  let lastId = 0;
  return {
    store: createBoundedStore({
      clock,
      timeoutMs: CALL_MS,
      ask(call) {
        const id = ++lastId;
        const answer = Promise.withResolvers<unknown>();
        if (!send({ kind: 'control', id, call }))
          return Promise.reject(new StoreAway('the control store is being started again'));
        asked.set(id, answer);
        return answer.promise;
      },
      close: () => Promise.resolve(),
    }),
    hear(message) {
      const answer = asked.get(message.id);
      asked.delete(message.id);
      if (message.kind === 'control_answer') answer?.resolve(message.answer);
      else answer?.reject(message.isAway ? new StoreAway(message.because) : new Error(message.because));
    },
    lost(because) {
      for (const answer of asked.values()) answer.reject(new StoreAway(`the control store's thread ended: ${because}`));
      asked.clear();
    },
  };
}
