import { unreachable } from '#core/kernel';
import type { Clock } from '#contracts/clock';
import type { ControlStore } from '../control-port.ts';
import { StoreAway } from '../control-port.ts';

/** The calls of a control store that have an answer, as data: so that they can be sent to another thread. */
export type ControlCall = {
  readonly [M in ControlMethod]: { readonly method: M; readonly args: Readonly<Parameters<ControlStore[M]>> };
}[ControlMethod];
type ControlMethod = Exclude<keyof ControlStore, 'watch' | 'close'>;

export interface BoundedStoreOptions {
  /** Carries a call out; may take for ever. */
  readonly ask: (call: ControlCall) => Promise<unknown>;
  /** Listens for commits of other processes, where there may be any. */
  readonly listen?: (wake: () => void) => Promise<() => Promise<void>>;
  readonly close: () => Promise<void>;
  readonly clock: Clock;
  /** The longest that a call may take, ms. */
  readonly timeoutMs: number;
}

/** More calls at once than an admin API and a follower ever make. */
const CALLS_MAX = 64;

/**
 * A control store that never keeps anyone waiting: a call ends within its time, and a store that does not answer cannot pile up
 * calls. Either is {@link StoreAway}.
 */
export function createBoundedStore({ ask, listen, close, clock, timeoutMs }: BoundedStoreOptions): ControlStore {
  const wakes = new Set<() => void>();
  let calls = 0;
  let isClosed = false;
  const call = async <T>(what: ControlCall): Promise<T> => {
    if (isClosed) throw new StoreAway('the control store is closed');
    if (calls >= CALLS_MAX) throw new StoreAway(`${CALLS_MAX} calls wait for the control store already`);
    calls++;
    const late = Promise.withResolvers<never>();
    const timer = clock.after(timeoutMs, () => late.reject(new StoreAway(`the control store gave no answer in ${timeoutMs} ms`)));
    const asked = ask(what);
    // It counts until it has truly ended: given up is not over.
    const over = (): void => void calls--;
    asked.then(over, over);
    try {
      // The port says what each method answers; what is asked is one of its methods.
      return (await Promise.race([asked, late.promise])) as T;
    } finally {
      timer.cancel();
    }
  };
  return {
    async commit(...args) {
      const answer = await call<Awaited<ReturnType<ControlStore['commit']>>>({ method: 'commit', args });
      if (answer.kind === 'committed') for (const wake of wakes) wake();
      return answer;
    },
    get: (...args) => call({ method: 'get', args }),
    list: (...args) => call({ method: 'list', args }),
    changesAfter: (...args) => call({ method: 'changesAfter', args }),
    audit: (...args) => call({ method: 'audit', args }),
    verifyAudit: (...args) => call({ method: 'verifyAudit', args }),
    heartbeat: (...args) => call({ method: 'heartbeat', args }),
    depart: (...args) => call({ method: 'depart', args }),
    gateways: (...args) => call({ method: 'gateways', args }),
    persist: (...args) => call({ method: 'persist', args }),
    async watch(wake) {
      wakes.add(wake);
      const unlisten = await listen?.(wake);
      return async () => {
        wakes.delete(wake);
        await unlisten?.();
      };
    },
    async close() {
      isClosed = true;
      wakes.clear();
      await close();
    },
  };
}

/** Carries a call out on a store. */
export function runControlCall(store: ControlStore, { method, args }: ControlCall): Promise<unknown> {
  switch (method) {
    case 'commit':
      return store.commit(...args);
    case 'get':
      return store.get(...args);
    case 'list':
      return store.list(...args);
    case 'changesAfter':
      return store.changesAfter(...args);
    case 'audit':
      return store.audit(...args);
    case 'verifyAudit':
      return store.verifyAudit();
    case 'heartbeat':
      return store.heartbeat(...args);
    case 'depart':
      return store.depart(...args);
    case 'gateways':
      return store.gateways(...args);
    case 'persist':
      return store.persist();
    default:
      return unreachable(method);
  }
}
