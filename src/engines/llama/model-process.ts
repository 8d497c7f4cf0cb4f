import { fork, type ChildProcess } from 'node:child_process';
import process from 'node:process';
import type { Clock, Timer } from '#contracts/clock';
import type { FromModel, LoadFailure, LoadOptions, ToModel } from './protocol.ts';
import { countCrash, restartDelayMs, type CrashCount } from './restart-delay.ts';

/**
 * starting → ready (the model is loaded) | unloadable (it cannot be; tried again, with a growing wait)
 * ready → restarting (the process ended) ; restarting, unloadable → starting (the wait is over) ; any → closed
 */
export type ModelStatus =
  | { readonly kind: 'starting' }
  | { readonly kind: 'restarting' }
  | { readonly kind: 'closed' }
  | { readonly kind: 'ready'; readonly pid: number; readonly contextTokens: number }
  | { readonly kind: 'unloadable'; readonly failure: LoadFailure };

export interface ModelProcessOptions {
  /** The program to run: `llama-process`, or a scripted one that speaks the same protocol. */
  readonly entry: URL;
  readonly load: LoadOptions;
  readonly clock: Clock;
  readonly onStatus: (status: ModelStatus) => void;
  readonly onMessage: (message: Exclude<FromModel, { kind: 'ready' | 'unloadable' }>) => void;
}

export interface ModelProcess {
  status(): ModelStatus;
  /** Nothing is sent, and nothing fails, while the process is not ready: its end has been or will be told by `onStatus`. */
  send(message: ToModel): void;
  close(): Promise<void>;
}

/** What the model's process may see of the environment: where libraries are, and nothing that could be a secret. */
const ENVIRONMENT = /^(PATH|HOME|TMPDIR|LANG|LC_.*|LD_LIBRARY_PATH|DYLD_.*|NODE_LLAMA_CPP_.*|SystemRoot|OMP_.*)$/;

/** Keeps one model process alive: starts it, restarts it with back-off when it ends, and ends it. */
export function superviseModelProcess({ entry, load, clock, onStatus, onMessage }: ModelProcessOptions): ModelProcess {
  let status: ModelStatus = { kind: 'starting' };
  let child: ChildProcess | null = null;
  let crashes: CrashCount = { inARow: 0 };
  let readySinceUs: number | null = null;
  let restart: Timer | null = null;
  const closing = new AbortController();

  function become(next: ModelStatus): void {
    status = next;
    onStatus(next);
  }

  function start(): void {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => ENVIRONMENT.test(name)));
    const started = fork(entry, [], { env, execArgv: [], stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
    child = started;
    readySinceUs = null;
    become({ kind: 'starting' });
    started.on('message', (message: FromModel) => hear(started, message));
    // A process that could not be started or spoken to ends; `exit` alone decides what comes next.
    started.on('error', () => started.kill('SIGKILL'));
    started.once('exit', ended);
    started.send({ kind: 'load', options: load } satisfies ToModel, () => undefined);
  }

  function hear(from: ChildProcess, message: FromModel): void {
    if (from !== child) return;
    if (message.kind === 'ready') {
      readySinceUs = clock.nowUs();
      become({ kind: 'ready', pid: from.pid ?? 0, contextTokens: message.contextTokens });
    } else if (message.kind === 'unloadable') {
      become({ kind: 'unloadable', failure: message.failure });
      from.kill('SIGKILL');
    } else onMessage(message);
  }

  function ended(): void {
    child = null;
    if (closing.signal.aborted) return;
    const readyForMs = readySinceUs === null ? 0 : (clock.nowUs() - readySinceUs) / 1000;
    crashes = countCrash(crashes, readyForMs);
    if (status.kind !== 'unloadable') become({ kind: 'restarting' });
    restart = clock.after(restartDelayMs(crashes), start);
  }

  start();
  return {
    status: () => status,
    send(message) {
      if (status.kind === 'ready') child?.send(message, () => undefined);
    },
    async close() {
      if (closing.signal.aborted) return;
      closing.abort();
      restart?.cancel();
      const last = child;
      become({ kind: 'closed' });
      if (last === null) return;
      // It holds nothing that an orderly end would save.
      const gone = new Promise((resolve) => last.once('exit', resolve));
      last.kill('SIGKILL');
      await gone;
    },
  };
}
