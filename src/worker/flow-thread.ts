// The entry of the usage flow's thread: opens the store, tails the journal, answers queries. Started by startUsageFlow.
import { setPriority } from 'node:os';
import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { invariant } from '#core/kernel';
import { createSystemClock } from '#runtime';
import { openEmbeddedStores, openUsageStore, type StorePlace, type UsageStore } from '#storage';
import { createControlHost, type ControlHost } from './control-host.ts';
import { createFlow, type Flow, messageOf } from './flow.ts';
import type { FlowThreadData, FromFlowThread, ToFlowThread } from './flow-messages.ts';

/** A checkpoint of the embedded engine costs about 50 ms; the journal keeps that much longer what is applied. */
const PERSIST_EVERY_MS = 5_000;
const FORGET_EVERY_MS = 3_600_000;
const BACK_OFF_MS_MAX = 10_000;
/** Answers may wait for a core; requests may not. Zero means this thread on Linux, and the whole process elsewhere. */
const NICENESS = 10;

/** What the loop of the flow answers, in its turn. */
type FlowMessage = Exclude<ToFlowThread, { readonly kind: 'control' }>;

await runFlowThread(parentPort, workerData as FlowThreadData);

async function runFlowThread(port: MessagePort | null, data: FlowThreadData): Promise<void> {
  invariant(port !== null, 'the usage flow runs in a thread of its own');
  giveWay();
  const clock = createSystemClock();
  const tell = (message: FromFlowThread): void => port.postMessage(message);
  const waiting: FlowMessage[] = [];
  const host = createControlHost(tell);
  let wake = new AbortController();
  port.on('message', (message: ToFlowThread) => {
    // Not with the others: whoever changes a tenant does not wait for a batch of records.
    if (message.kind === 'control') {
      host.hear(message);
      return;
    }
    waiting.push(message);
    wake.abort();
  });

  let store: UsageStore | null = null;
  let flow: Flow | null = null;
  let backOffMs = data.intervalMs;
  let persistedMs = 0;
  let forgottenMs = 0;
  let isClosing = false;
  while (!isClosing) {
    let outcome: Awaited<ReturnType<Flow['step']>> = 'stopped';
    try {
      store ??= await openStores(data.place, { host, tell });
      flow ??= createFlow({ data, store, clock, tell });
      outcome = await flow.step();
      isClosing = await handleMessages(waiting.splice(0), { store, flow, tell });
      const nowMs = clock.wallMs();
      if (outcome !== 'stopped' && (isClosing || nowMs - persistedMs >= PERSIST_EVERY_MS)) {
        await flow.persist();
        persistedMs = nowMs;
      }
      if (outcome === 'caught_up' && nowMs - forgottenMs >= FORGET_EVERY_MS) {
        await store.forget(nowMs - data.retentionMs);
        forgottenMs = nowMs;
      }
      tell({ kind: 'progress', progress: flow.progress() });
    } catch (error) {
      // An embedded engine that failed cannot be trusted to go on in this thread: it ends, and another is started.
      if (data.place.kind === 'embedded') throw error;
      isClosing = refuseMessages(waiting.splice(0), messageOf(error), tell);
      tell({ kind: 'progress', progress: awayWith(messageOf(error), flow) });
    }
    backOffMs = outcome === 'stopped' ? Math.min(backOffMs * 2, BACK_OFF_MS_MAX) : data.intervalMs;
    if (isClosing) break;
    // Between batches the messages that came meanwhile are let in.
    if (outcome === 'more') await nextTurn();
    else if (waiting.length === 0) {
      wake = new AbortController();
      await wait(backOffMs, undefined, { signal: wake.signal }).catch(() => undefined);
    }
  }
  await flow?.close();
  await store?.close();
  port.close();
}

/** The embedded engine holds the control store too; a served one has connections of its own elsewhere. */
async function openStores(
  place: StorePlace,
  { host, tell }: { readonly host: ControlHost; readonly tell: (message: FromFlowThread) => void },
): Promise<UsageStore> {
  if (place.kind === 'postgres') return openUsageStore(place);
  const { usage, control } = await openEmbeddedStores(place, {
    onUnreadable: ({ kind, id, because }) => tell({ kind: 'unreadable', object: `${kind} ${id}`, because }),
  });
  host.opened(control);
  return usage;
}

function giveWay(): void {
  if (process.platform !== 'linux') return;
  try {
    setPriority(0, NICENESS);
  } catch {
    // A sandbox may forbid it: the flow then runs as everyone does.
  }
}

/** Answers what the parent asked; true when it asked to stop. */
async function handleMessages(
  messages: readonly FlowMessage[],
  at: { readonly store: UsageStore; readonly flow: Flow; readonly tell: (message: FromFlowThread) => void },
): Promise<boolean> {
  const { store, flow, tell } = at;
  for (const message of messages) {
    if (message.kind === 'usage') {
      const { id } = message;
      await store.usage(message.query).then(
        (rows) => tell({ kind: 'answer', id, rows }),
        (error: unknown) => tell({ kind: 'no_answer', id, because: messageOf(error) }),
      );
    } else if (message.kind === 'drain') {
      while (flow.progress().position < message.upTo && (await flow.step()) !== 'stopped');
      const { position, because } = flow.progress();
      if (position >= message.upTo) {
        await flow.persist();
        tell({ kind: 'drained', id: message.id });
      } else tell({ kind: 'no_answer', id: message.id, because });
    }
  }
  return messages.some(({ kind }) => kind === 'close');
}

function refuseMessages(messages: readonly FlowMessage[], because: string, tell: (message: FromFlowThread) => void): boolean {
  for (const message of messages) if (message.kind !== 'close') tell({ kind: 'no_answer', id: message.id, because });
  return messages.some(({ kind }) => kind === 'close');
}

function awayWith(because: string, flow: Flow | null): ReturnType<Flow['progress']> {
  const none = { position: 0, appliedThroughMs: 0, recordsApplied: 0 };
  return { ...(flow?.progress() ?? none), kind: 'away', because };
}
