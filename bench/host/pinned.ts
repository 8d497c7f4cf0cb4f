import { execFileSync, spawn, type ChildProcess } from 'node:child_process';

export interface PinnedOptions {
  readonly core: number;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly hasIpc?: boolean;
}

/** A process on one core, with the last of what it printed, for the message when it does not start. */
export interface PinnedProcess {
  readonly child: ChildProcess;
  readonly pid: number;
  output(): string;
  hasExited(): boolean;
  /** SIGTERM, and SIGKILL to what is left of its process group after `graceMs`. */
  stop(graceMs?: number): Promise<void>;
}

const OUTPUT_CHARS_MAX = 4000;

/** Starts a process pinned to one core by `taskset`, which replaces itself by it: the pid is the process's own. */
export async function startPinned(options: PinnedOptions): Promise<PinnedProcess> {
  const child = spawn('taskset', ['-c', String(options.core), options.command, ...options.args], {
    cwd: options.cwd,
    env: { ...process.env, NODE_OPTIONS: '', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe', ...(options.hasIpc === true ? (['ipc'] as const) : [])],
    serialization: 'advanced',
    detached: true,
  });
  let output = '';
  const keep = (data: Buffer): void => {
    output = (output + data.toString('utf8')).slice(-OUTPUT_CHARS_MAX);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  let exited = false;
  const closed = new Promise<void>((resolve) =>
    child.once('exit', () => {
      exited = true;
      resolve();
    }),
  );
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => reject(new Error('taskset could not be started', { cause: error })));
  });
  const pid = child.pid ?? 0;
  return {
    child,
    pid,
    output: () => output,
    hasExited: () => exited,
    async stop(graceMs = 8000) {
      if (exited) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => signalGroup(pid, 'SIGKILL'), graceMs);
      await closed;
      clearTimeout(timer);
    },
  };
}

/** Moves this process to a core, so that the orchestration does not disturb the system under test. */
export function pinThisProcess(core: number): void {
  execFileSync('taskset', ['-a', '-p', '-c', String(core), String(process.pid)], { stdio: 'ignore' });
}

function signalGroup(pid: number, signal: 'SIGKILL'): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // The group is gone already: that is what was wanted.
  }
}
