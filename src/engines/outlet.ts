import type { EngineFailure, EngineHandler } from './engine.ts';

/** Most bytes held back to be delivered together. */
const HELD_BYTES_MAX = 65_536;

/** The way out of one call: keeps the order that {@link EngineHandler} promises, whatever is done to it. */
export interface Outlet {
  head(status: number, headers: Readonly<Record<string, string>>): void;
  /** Delivers text, together with whatever else is ready in this turn of the event loop. */
  write(text: string): void;
  end(): void;
  /** Ends the call at once with a failure; what was held back is dropped. Nothing after the first end or failure counts. */
  fail(failure: EngineFailure): void;
  isOver(): boolean;
  pause(): void;
  resume(): void;
  isPaused(): boolean;
  /** Resolves when the reader wants more, or the call is over. */
  ready(): Promise<void>;
}

/**
 * Engines make many small events, several of them at the same moment; a chunk costs a system call and a wake-up of the client, so
 * events that are ready together leave as one.
 */
export function createOutlet(handler: EngineHandler): Outlet {
  let held: string[] = [];
  let heldLength = 0;
  let flushing: NodeJS.Immediate | null = null;
  let isOver = false;
  let isPaused = false;
  let wake: (() => void) | null = null;

  const flush = (): void => {
    if (flushing !== null) clearImmediate(flushing);
    flushing = null;
    if (held.length === 0) return;
    const chunk = Buffer.from(held.join(''), 'utf8');
    held = [];
    heldLength = 0;
    handler.onData(chunk);
  };
  const close = (): void => {
    isOver = true;
    if (flushing !== null) clearImmediate(flushing);
    held = [];
    wake?.();
  };
  return {
    head(status, headers) {
      if (!isOver) handler.onHead(status, headers);
    },
    write(text) {
      if (isOver || text === '') return;
      held.push(text);
      heldLength += text.length;
      if (heldLength >= HELD_BYTES_MAX) flush();
      else flushing ??= setImmediate(flush);
    },
    end() {
      if (isOver) return;
      flush();
      // A handler may abort the call while it is given its last data.
      if (isOver) return;
      close();
      handler.onEnd();
    },
    fail(failure) {
      if (isOver) return;
      close();
      queueMicrotask(() => handler.onError(failure));
    },
    isOver: () => isOver,
    pause() {
      isPaused = true;
    },
    resume() {
      isPaused = false;
      wake?.();
    },
    isPaused: () => isPaused,
    async ready() {
      while (isPaused && !isOver)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    },
  };
}
