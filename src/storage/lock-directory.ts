import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, readlink, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { setInterval } from 'node:timers';
import { setTimeout as wait } from 'node:timers/promises';

/** One process per directory, held until `release` or the end of the process, however it ends. */
export interface DirectoryLock {
  release(): Promise<void>;
}

export class DirectoryInUse extends Error {
  override readonly name = 'DirectoryInUse';
}

const LOCK_NAME = 'plimsoll.lock';
const HEARTBEAT_MS = 5_000;
/** A holder that cannot be looked at (another container or machine) is taken for dead after this long without a heartbeat. */
const SILENCE_MS = 30_000;

/**
 * Takes the lock of a directory, which is made when missing, or throws {@link DirectoryInUse} with the holder's pid.
 * A dead process's lock is taken over at once. Pids are used again, so the lock also names the boot, the pid namespace and the
 * moment its process started.
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const file = path.join(directory, LOCK_NAME);
  const own = await describeOwnProcess();
  const draft = `${file}.${own.nonce}`;
  await writeFile(draft, `${JSON.stringify(own)}\n`, { mode: 0o600 });
  try {
    for (let round = 0; round < ROUNDS; round++) {
      if (await linkOnce(draft, file)) return hold(file, own);
      const holder = await readHolder(file);
      if (holder === null) continue;
      const alive = await isAlive(holder, own, file);
      if (alive !== null)
        throw new DirectoryInUse(`${directory} is in use by ${alive}: stop that process, or use another directory`);
      if (await takeOver(file, draft, holder)) return hold(file, own);
      await wait(ROUND_MS);
    }
    throw new DirectoryInUse(
      `${directory} is being taken over by another process: try again, and if no Plimsoll runs there remove ${LOCK_NAME}.*`,
    );
  } finally {
    await rm(draft, { force: true });
  }
}

const ROUNDS = 20;
const ROUND_MS = 25;

/** Gives the draft, with its whole content, its name in one step; false where the name is taken. */
async function linkOnce(draft: string, name: string): Promise<boolean> {
  try {
    await link(draft, name);
    return true;
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/**
 * Puts our lock in the place of a dead holder's. Several may find it dead at once, so the right to replace that very lock is
 * itself taken by name: while we have it, and the lock is still the dead one, nobody else changes it.
 */
async function takeOver(file: string, draft: string, dead: Holder): Promise<boolean> {
  const right = `${file}.${dead.nonce}.takeover`;
  if (!(await linkOnce(draft, right))) return false;
  try {
    if ((await readHolder(file))?.nonce !== dead.nonce) return false;
    await rename(draft, file);
    return true;
  } finally {
    await rm(right, { force: true });
  }
}

interface Holder {
  readonly nonce: string;
  readonly pid: number;
  /** Clock ticks from boot to the process's start; null where /proc does not say. */
  readonly startedTicks: string | null;
  readonly boot: string | null;
  readonly pidNamespace: string | null;
  readonly host: string;
}

async function describeOwnProcess(): Promise<Holder> {
  return {
    nonce: randomUUID(),
    pid: process.pid,
    startedTicks: await startedTicks(process.pid),
    boot: await readBootId(),
    pidNamespace: await readlink('/proc/self/ns/pid').catch(() => null),
    host: hostname(),
  };
}

function hold(file: string, own: Holder): DirectoryLock {
  const beat = setInterval(() => {
    // A heartbeat that fails is not the holder's death; the next one may succeed.
    void utimes(file, new Date(), new Date()).catch(() => undefined);
  }, HEARTBEAT_MS);
  beat.unref();
  return {
    async release() {
      clearInterval(beat);
      if ((await readHolder(file))?.nonce === own.nonce) await rm(file, { force: true });
    },
  };
}

/** Who is alive, in words, or null for a holder that is gone. */
async function isAlive(holder: Holder, own: Holder, file: string): Promise<string | null> {
  const name = `process ${holder.pid}`;
  if (holder.host === own.host && holder.boot !== own.boot) return null;
  if (holder.boot === own.boot && holder.pidNamespace === own.pidNamespace) {
    return (await startedTicks(holder.pid)) === holder.startedTicks && exists(holder.pid) ? name : null;
  }
  const seen = await stat(file).catch(() => null);
  const silentMs = seen === null ? SILENCE_MS : Date.now() - seen.mtimeMs;
  if (silentMs >= SILENCE_MS) return null;
  return `${name} on ${holder.host} (another container or machine, last seen ${Math.max(0, Math.round(silentMs / 1000))} s ago; taken for dead after ${SILENCE_MS / 1000} s)`;
}

async function readHolder(file: string): Promise<Holder | null> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  });
  if (text === null) return null;
  try {
    return JSON.parse(text) as Holder;
  } catch {
    throw new DirectoryInUse(`${file} is not a lock that Plimsoll wrote: remove it if no Plimsoll runs on this directory`);
  }
}

/** Field 22 of /proc/<pid>/stat; the command name before it may hold spaces and brackets, so count from its end. */
async function startedTicks(pid: number): Promise<string | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? null;
}

async function readBootId(): Promise<string | null> {
  const text = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => null);
  return text?.trim() ?? null;
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return isCode(error, 'EPERM');
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
