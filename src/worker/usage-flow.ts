import { Worker } from 'node:worker_threads';
import { err, ok, type Result, unreachable } from '#core/kernel';
import { DAY_MS } from '#core/usage';
import {
  connectControlStore,
  lockDirectory,
  type ControlStore,
  type OpenJournal,
  type StorePlace,
  type UsageQuery,
  type UsageRow,
} from '#storage';
import type { Clock, Timer } from '#contracts/clock';
import type { FlowProgress, FlowThreadData, FromFlowThread, ToFlowThread } from './flow-messages.ts';
import { createThreadControlStore } from './thread-control-store.ts';

export interface UsageFlowOptions {
  readonly journal: Pick<OpenJournal, 'directory' | 'id' | 'synced' | 'applied'>;
  readonly place: StorePlace;
  readonly clock: Clock;
  readonly onEvent: (event: UsageFlowEvent) => void;
  /** How often the journal is looked at, ms. */
  readonly intervalMs?: number;
  /** The most records of one transaction, 1 to 16,384. */
  readonly batchMax?: number;
  readonly retentionMs?: number;
  /** The longest that `usage` waits, ms. */
  readonly queryTimeoutMs?: number;
}

export type UsageFlowEvent = { readonly level: 'info' | 'warn' | 'error'; readonly message: string } & (
  | { readonly kind: 'ready' }
  | { readonly kind: 'away' | 'blocked' }
  | { readonly kind: 'restarting'; readonly inMs: number }
  | { readonly kind: 'lost'; readonly records: number }
  /** A tenant object that this version cannot read, and which therefore does not hold. */
  | { readonly kind: 'unreadable'; readonly object: string }
);

export interface UsageFlowStatus {
  /** `starting`: the store is being opened; `away`: it cannot be reached; `blocked`: someone has to look. Records wait meanwhile. */
  readonly kind: 'starting' | 'ready' | 'away' | 'blocked' | 'closed';
  /** Why, in words an operator can act on; empty when ready. */
  readonly because: string;
  /** Records that are safe in the journal and not yet in the store; null until the store has said what it has. */
  readonly lagRecords: number | null;
  /** How old the oldest of them may be, ms; 0 when there is none. */
  readonly lagMs: number;
  readonly recordsApplied: number;
  readonly recordsLost: number;
  readonly restarts: number;
}

/** The way of records from the journal into the store, in a thread of its own; serving never waits for it. */
export interface UsageFlow {
  /** Asks the store; the error says why there is no answer, within the time bound. */
  usage(query: UsageQuery): Promise<Result<readonly UsageRow[], string>>;
  /**
   * Tenants, keys and the audit log, which rest in the same database. It need not be there: then its calls reject with
   * `StoreAway`, in their time. Closed with the flow.
   */
  readonly control: ControlStore;
  status(): UsageFlowStatus;
  /** Resolves when all that is on the disk now is in the store for good; rejects with the signal's reason, or when it cannot be. */
  drain(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

const RESTART_MS_MIN = 1_000;
const RESTART_MS_MAX = 30_000;
const CLOSE_MS_MAX = 10_000;
const ASKED_MAX = 64;

interface Asked {
  readonly settle: (answer: Result<readonly UsageRow[], string>) => void;
}

/** Starts the flow. Takes the embedded store's lock first, and throws `DirectoryInUse` when another process has it. */
export async function startUsageFlow(options: UsageFlowOptions): Promise<UsageFlow> {
  const { journal, place, clock, onEvent } = options;
  const queryTimeoutMs = options.queryTimeoutMs ?? 10_000;
  // Held here and not in the thread: a thread that dies leaves it to the next one, and never to another process.
  const lock = place.kind === 'embedded' && place.isLocked !== true ? await lockDirectory(place.directory) : null;
  const workerData: FlowThreadData = {
    directory: journal.directory,
    journal: journal.id,
    synced: journal.synced,
    place: place.kind === 'embedded' ? { ...place, isLocked: true } : place,
    intervalMs: options.intervalMs ?? 500,
    batchMax: options.batchMax ?? 4_096,
    retentionMs: options.retentionMs ?? 30 * DAY_MS,
  };
  const synced = new BigInt64Array(journal.synced);
  const startedMs = clock.wallMs();

  let progress: FlowProgress | null = null;
  let recordsLost = 0;
  let restarts = 0;
  let appliedBefore = 0;
  let restartMs = RESTART_MS_MIN;
  let restartTimer: Timer | null = null;
  let isClosed = false;
  let lastId = 0;
  const asked = new Map<number, Asked>();
  let failure = '';
  const hosted = createThreadControlStore({ clock, send });
  const control =
    place.kind === 'embedded'
      ? hosted.store
      : connectControlStore(place, { clock, onUnreadable: ({ kind, id, because }) => hearUnreadable(`${kind} ${id}`, because) });
  let thread = start();

  return { usage: (query) => ask((id) => ({ kind: 'usage', id, query }), queryTimeoutMs), control, status, drain, close };

  function send(message: ToFlowThread): boolean {
    thread?.postMessage(message);
    return thread !== null;
  }

  function hearUnreadable(object: string, because: string): void {
    const message = `${object} in the control store cannot be read, so it does not hold: see ${because}`;
    onEvent({ level: 'error', kind: 'unreadable', object, message });
  }

  function start(): Worker | null {
    const worker = new Worker(threadEntry(), { workerData, name: 'usage-flow' });
    // The gateway's sockets keep the process alive, not its helpers.
    worker.unref();
    worker.on('message', hear);
    worker.on('error', (error) => (failure = error instanceof Error ? error.message : String(error)));
    worker.on('exit', () => onExit(worker));
    return worker;
  }

  function onExit(worker: Worker): void {
    if (thread !== worker) return;
    thread = null;
    appliedBefore += progress?.recordsApplied ?? 0;
    progress = null;
    for (const { settle } of asked.values()) settle(err(`the usage store's thread ended: ${failure}`));
    hosted.lost(failure);
    if (isClosed) return;
    restarts++;
    const message = `usage flow: its thread ended (${failure}); another is started in ${restartMs} ms`;
    onEvent({ level: 'error', kind: 'restarting', inMs: restartMs, message });
    restartTimer = clock.after(restartMs, () => (thread = start()));
    restartMs = Math.min(restartMs * 2, RESTART_MS_MAX);
  }

  function hear(message: FromFlowThread): void {
    switch (message.kind) {
      case 'progress':
        hearProgress(message.progress);
        return;
      case 'applied':
        journal.applied(message.position, new Set(message.damaged));
        return;
      case 'lost': {
        const records = message.to - message.from;
        recordsLost += records;
        const text = `usage flow: records ${message.from} to ${message.to - 1} of the journal cannot be read: up to ${records} requests are missing from the usage`;
        onEvent({ level: 'error', kind: 'lost', records, message: text });
        return;
      }
      case 'answer':
        asked.get(message.id)?.settle(ok(message.rows));
        return;
      case 'drained':
        asked.get(message.id)?.settle(ok([]));
        return;
      case 'no_answer':
        asked.get(message.id)?.settle(err(message.because));
        return;
      case 'control_answer':
      case 'control_failed':
        hosted.hear(message);
        return;
      case 'unreadable':
        hearUnreadable(message.object, message.because);
        return;
      default:
        unreachable(message);
    }
  }

  function hearProgress(next: FlowProgress): void {
    const before = progress?.kind ?? 'starting';
    progress = next;
    if (next.kind === 'ready') restartMs = RESTART_MS_MIN;
    if (next.kind === before) return;
    if (next.kind === 'ready') onEvent({ level: 'info', kind: 'ready', message: 'usage flow: the store takes records' });
    else onEvent({ level: next.kind === 'away' ? 'warn' : 'error', kind: next.kind, message: `usage flow: ${next.because}` });
  }

  function ask(message: (id: number) => ToFlowThread, timeoutMs: number | null): Promise<Result<readonly UsageRow[], string>> {
    if (isClosed) return Promise.resolve(err('the usage flow is closed'));
    if (thread === null) return Promise.resolve(err(`the usage store is being started again: ${failure}`));
    if (asked.size >= ASKED_MAX) return Promise.resolve(err(`${ASKED_MAX} questions wait for the usage store already`));
    const id = ++lastId;
    const { promise, resolve } = Promise.withResolvers<Result<readonly UsageRow[], string>>();
    const timer =
      timeoutMs === null ? null : clock.after(timeoutMs, () => settle(err(`the usage store gave no answer in ${timeoutMs} ms`)));
    const settle = (answer: Result<readonly UsageRow[], string>): void => {
      timer?.cancel();
      asked.delete(id);
      resolve(answer);
    };
    asked.set(id, { settle });
    thread.postMessage(message(id));
    return promise;
  }

  async function drain(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const upTo = Number(Atomics.load(synced, 0));
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      const answer = await Promise.race([ask((id) => ({ kind: 'drain', id, upTo }), null), aborted]);
      if (!answer.ok) throw new Error(`usage records stay in the journal until the next start: ${answer.error}`);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  function status(): UsageFlowStatus {
    const lagRecords = progress === null ? null : Math.max(0, Number(Atomics.load(synced, 0)) - progress.position);
    const kind = isClosed ? 'closed' : (progress?.kind ?? 'starting');
    const since = progress?.appliedThroughMs ? progress.appliedThroughMs : startedMs;
    return {
      kind,
      because: kind === 'starting' ? failure || 'the store is being opened' : (progress?.because ?? ''),
      lagRecords,
      lagMs: lagRecords === 0 ? 0 : Math.max(0, clock.wallMs() - since),
      recordsApplied: appliedBefore + (progress?.recordsApplied ?? 0),
      recordsLost,
      restarts,
    };
  }

  async function close(): Promise<void> {
    if (isClosed) return;
    isClosed = true;
    restartTimer?.cancel();
    await control.close();
    const ending = thread;
    if (ending !== null) {
      const { promise: ended, resolve } = Promise.withResolvers<void>();
      ending.once('exit', () => resolve());
      ending.postMessage({ kind: 'close' } satisfies ToFlowThread);
      const bound = clock.after(CLOSE_MS_MAX, () => void ending.terminate());
      // While this is awaited nothing else may keep the process alive.
      ending.ref();
      await ended;
      bound.cancel();
    }
    await lock?.release();
  }
}

/** The thread's file is beside this one: TypeScript in the clone, JavaScript in the built package. */
function threadEntry(): URL {
  const entry = new URL('./flow-thread.ts', import.meta.url);
  if (import.meta.url.endsWith('.js')) entry.pathname = entry.pathname.replace(/\.ts$/, '.js');
  return entry;
}
