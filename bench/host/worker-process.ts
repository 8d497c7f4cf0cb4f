import { startPinned, type PinnedProcess } from './pinned.ts';

/** A child of the bench that answers questions over IPC: the load generator and the mock upstream. */
export interface WorkerProcess<Question, Answer> {
  readonly pid: number;
  readonly port: number;
  ask(question: Question, onPhase?: (phase: 'measuring' | 'measured') => void): Promise<Answer>;
  stop(): Promise<void>;
}

type Reply =
  | { readonly kind: 'listening'; readonly port: number | null }
  | { readonly kind: 'measuring' | 'measured'; readonly id: number }
  | { readonly kind: 'done'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly message: string };

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly onPhase: ((phase: 'measuring' | 'measured') => void) | undefined;
}

/**
 * Starts a child and waits until it says that it listens.
 * @param read - makes the answer out of what came over the channel; both ends are files of this folder
 */
export async function startWorkerProcess<Question extends object, Answer>(options: {
  readonly core: number;
  readonly script: URL;
  readonly read: (value: unknown) => Answer;
  readonly env?: Readonly<Record<string, string>> | undefined;
}): Promise<WorkerProcess<Question, Answer>> {
  const started: PinnedProcess = await startPinned({
    core: options.core,
    command: process.execPath,
    args: [options.script.pathname],
    hasIpc: true,
    env: options.env ?? {},
  });
  const pending = new Map<number, Pending>();
  let nextId = 1;
  const port = await new Promise<number>((resolve, reject) => {
    started.child.on('message', (message) => {
      const reply = message as Reply;
      if (reply.kind === 'listening') return resolve(reply.port ?? 0);
      const asked = pending.get(reply.id);
      if (asked === undefined) return;
      if (reply.kind !== 'done' && reply.kind !== 'failed') return asked.onPhase?.(reply.kind);
      pending.delete(reply.id);
      if (reply.kind === 'failed') asked.reject(new Error(reply.message));
      else asked.resolve(reply.value);
    });
    started.child.once('exit', () => {
      const error = new Error(`${options.script.pathname} ended by itself: ${started.output()}`);
      reject(error);
      for (const asked of pending.values()) asked.reject(error);
      pending.clear();
    });
  });
  return {
    pid: started.pid,
    port,
    ask: async (question, onPhase) =>
      options.read(
        await new Promise((resolve, reject) => {
          const id = nextId;
          nextId += 1;
          pending.set(id, { resolve, reject, onPhase });
          started.child.send({ ...question, id });
        }),
      ),
    stop: () => started.stop(1000),
  };
}
