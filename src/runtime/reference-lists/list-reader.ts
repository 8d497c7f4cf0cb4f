import { Worker } from 'node:worker_threads';
import type { ListProblem } from '#core/addresses';
import { err, type Result } from '#core/kernel';
import type { ListContent, ListKind } from './read-list.ts';

/** Reads lists one after the other in a thread, which starts with the first of them. */
export interface ListReader {
  read(path: string, kind: ListKind, signal: AbortSignal): Promise<Result<ListContent, ListProblem>>;
  close(): Promise<void>;
}

export function createListReader(): ListReader {
  let worker: Worker | null = null;
  const start = (): Worker => {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const started = new Worker(new URL(`./read-list-thread.${extension}`, import.meta.url), { name: 'read-list' });
    started.unref();
    return started;
  };
  const close = async (): Promise<void> => {
    const ended = worker;
    worker = null;
    await ended?.terminate();
  };
  return {
    async read(path, kind, signal) {
      signal.throwIfAborted();
      const reading = (worker ??= start());
      const { promise, resolve, reject } = Promise.withResolvers<Result<ListContent, ListProblem>>();
      const fail = (what: string): void => {
        if (worker === reading) worker = null;
        resolve(err({ line: 0, message: `could not be read in its thread (${what})` }));
      };
      // Out of memory, say: a problem of the file, not of the gateway.
      const onError = (error: unknown): void => fail(error instanceof Error ? error.name : 'unknown error');
      const onExit = (): void => fail('it ended');
      const onAbort = (): void => {
        reject(signal.reason as Error);
        void close(); // nobody waits for a thread whose answer is not wanted
      };
      reading.once('message', resolve);
      reading.once('error', onError);
      reading.once('exit', onExit);
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        reading.postMessage({ path, kind });
        return await promise;
      } finally {
        signal.removeEventListener('abort', onAbort);
        reading.off('message', resolve).off('error', onError).off('exit', onExit);
      }
    },
    close,
  };
}
