import { Buffer } from 'node:buffer';
import { link, mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { TenantObject } from '#contracts/tenancy';
import { loadSnapshot, readHeader, type LoadedSnapshot } from './load-snapshot.ts';
import { deriveKey } from './pepper.ts';
import {
  createFrameWriter,
  SNAPSHOT_LINE,
  SNAPSHOT_VERSION,
  type Frame,
  type FrameWriter,
  type StorePosition,
} from './snapshot-format.ts';
import type { TenantDirectory, TenantRef } from './tenant-directory.ts';
import { syncDirectory } from './write-privately.ts';

export interface SnapshotOptions {
  readonly dataDirectory: string;
  readonly pepper: Buffer;
  /** Filled at the opening, if there is a snapshot; read when one is written. */
  readonly directory: TenantDirectory;
  readonly wallMs: () => number;
  readonly onEvent: (event: { readonly level: 'info' | 'warn' | 'error'; readonly message: string }) => void;
  /** Changes are appended until they take as many bytes as what is below them, and at least this many. */
  readonly changeBytesMin?: number;
}

/** What was applied to the directory, and where in the store's history that is. */
export interface SnapshotChange {
  readonly put: readonly TenantObject[];
  readonly drop: readonly TenantRef[];
  readonly position: StorePosition;
  /** More follows: a snapshot is begun only of something whole. */
  readonly hasMore: boolean;
}

/** The signed file from which a gateway serves known keys while the control store is gone. */
export interface TenantSnapshot {
  /** What was found at the opening, and is in the directory now; null for none. */
  readonly loaded: LoadedSnapshot | null;
  /** Notes a change that the directory has taken; written soon, in order, off this turn. */
  changed(change: SnapshotChange): void;
  /** Notes that the directory was read anew, from a store with another past. */
  replaced(position: StorePosition): void;
  /** Notes that the store was heard and had nothing new. */
  heard(): void;
  /** Resolves when all that was noted is on the disk, or has failed to be. */
  flush(): Promise<void>;
  status(): { readonly commit: number; readonly bytes: number; readonly failedBecause: string | null };
  close(): Promise<void>;
}

const OBJECTS_OF_FRAME = 256;
const CHANGE_BYTES_MIN = 1024 * 1024;
/** After a failure the disk is left alone until so many more changes or signs of life have come. */
const RETRY_AFTER_NOTES = 4;

interface Current {
  readonly file: FileHandle;
  readonly frames: FrameWriter;
  readonly baseBytes: number;
  bytes: number;
}

/** Loads the snapshot of a data directory, the newest that can be used, and keeps it up to date from then on. */
export async function openSnapshot(options: SnapshotOptions): Promise<TenantSnapshot> {
  const { directory, wallMs, onEvent } = options;
  const changeBytesMin = options.changeBytesMin ?? CHANGE_BYTES_MIN;
  const key = deriveKey(options.pepper, 'snapshot');
  const file = path.join(options.dataDirectory, 'tenants.snapshot');
  const previous = `${file}.previous`;
  await mkdir(options.dataDirectory, { recursive: true, mode: 0o700 });
  const loaded = await load();

  let generation = Math.max(loaded?.generation ?? 0, (await readHeader(previous, key))?.generation ?? 0);
  let position = loaded?.position ?? null;
  let current: Current | null = null;
  let waiting: Frame[] = [];
  let working: Promise<void> | null = null;
  let writtenCommit = 0;
  let failedBecause: string | null = null;
  let notesUntilRetry = 0;
  let mustBegin = false;
  let isClosed = false;

  return {
    loaded,
    changed({ put, drop, position: next, hasMore }) {
      position = hasMore && current === null ? null : next;
      if (current !== null) waiting.push({ kind: 'change', put, drop, atMs: wallMs(), ...next });
      note();
    },
    replaced(next) {
      position = next;
      mustBegin = true;
      note();
    },
    heard() {
      if (current !== null) waiting.push({ kind: 'heard', atMs: wallMs() });
      note();
    },
    async flush() {
      while (working !== null) await working;
    },
    status: () => ({ commit: writtenCommit, bytes: current?.bytes ?? 0, failedBecause }),
    async close() {
      isClosed = true;
      while (working !== null) await working;
      await current?.file.close();
      current = null;
    },
  };

  async function load(): Promise<LoadedSnapshot | null> {
    const [newer, older] = [await readHeader(file, key), await readHeader(previous, key)];
    const isSetBack = newer !== null && older !== null && newer.generation < older.generation;
    if (isSetBack)
      onEvent({
        level: 'error',
        message: `${file} is not used: it is of generation ${newer.generation}, and the one before it of ${older.generation}`,
      });
    for (const one of isSetBack ? [previous] : [file, previous]) {
      const onUnusable = (because: string): void => onEvent({ level: 'error', message: `${one} is not used: ${because}` });
      const found = await loadSnapshot(one, { key, directory, onUnusable });
      if (found === null) continue;
      if (found.isTorn)
        onEvent({
          level: 'warn',
          message: `${one} is torn at its end: changes after commit ${found.position.commit} are read from the store again`,
        });
      if (one === previous)
        onEvent({ level: 'warn', message: `${previous} is used instead, of commit ${found.position.commit}` });
      return found;
    }
    return null;
  }

  function note(): void {
    if (notesUntilRetry > 0) notesUntilRetry--;
    if (working !== null || isClosed || notesUntilRetry > 0) return;
    working = work().finally(() => (working = null));
  }

  /** Never rejects. */
  async function work(): Promise<void> {
    // What else is noted in this turn goes with it.
    await nextTurn();
    try {
      while (isBaseDue() || (waiting.length > 0 && current !== null)) {
        if (isBaseDue()) await writeBase();
        else await writeChanges();
      }
      failedBecause = null;
    } catch (error) {
      const because = error instanceof Error ? error.message : String(error);
      if (failedBecause === null) onEvent({ level: 'error', message: `${file} cannot be written: ${because}` });
      failedBecause = because;
      notesUntilRetry = RETRY_AFTER_NOTES;
      waiting = [];
      // Half a frame may stand at its end: the next snapshot is a whole one.
      await current?.file.close().catch(() => undefined);
      current = null;
    }
  }

  function isBaseDue(): boolean {
    if (position === null) return false;
    return current === null || mustBegin || current.bytes - current.baseBytes > Math.max(changeBytesMin, current.baseBytes);
  }

  async function writeChanges(): Promise<void> {
    if (current === null) return;
    const frames = waiting;
    waiting = [];
    const { frames: writer, file: handle } = current;
    const bytes = Buffer.concat(frames.map((frame) => writer.frame(frame)));
    await handle.writeFile(bytes);
    await handle.datasync();
    current.bytes += bytes.length;
    for (const frame of frames) if (frame.kind === 'change') writtenCommit = frame.commit;
  }

  /** A whole snapshot, a piece a turn. What changes meanwhile is in it or not, and is appended to it in any case. */
  async function writeBase(): Promise<void> {
    if (position === null) return;
    const draft = `${file}.new`;
    const frames = createFrameWriter(key);
    const start = position;
    const old = current;
    const handle = await open(draft, 'w', 0o600);
    try {
      await handle.chmod(0o600);
      // From here on changes are kept for the new file; those before are in the directory already.
      waiting = [];
      mustBegin = false;
      current = { file: handle, frames, baseBytes: 0, bytes: 0 };
      const header: Frame = { kind: 'header', version: SNAPSHOT_VERSION, generation: generation + 1, atMs: wallMs(), ...start };
      let bytes = await append(handle, Buffer.concat([Buffer.from(SNAPSHOT_LINE), frames.frame(header)]));
      let count = 0;
      for (const objects of pieces(directory.objects())) {
        bytes += await append(handle, frames.frame({ kind: 'objects', objects }));
        count += objects.length;
        await nextTurn();
      }
      bytes += await append(handle, frames.frame({ kind: 'base_end', objects: count }));
      await handle.sync();
      await putInPlace(draft);
      await old?.file.close();
      generation++;
      writtenCommit = start.commit;
      current = { file: handle, frames, baseBytes: bytes, bytes };
    } catch (error) {
      await handle.close().catch(() => undefined);
      await old?.file.close().catch(() => undefined);
      current = null;
      throw error;
    }
  }

  /** There is a whole snapshot under its name at every moment, and the one before it is kept. */
  async function putInPlace(draft: string): Promise<void> {
    await rm(`${previous}.new`, { force: true });
    const hasOld = await link(file, `${previous}.new`).then(
      () => true,
      () => false,
    );
    if (hasOld) await rename(`${previous}.new`, previous);
    await rename(draft, file);
    await syncDirectory(file);
  }
}

async function append(file: FileHandle, bytes: Buffer): Promise<number> {
  await file.writeFile(bytes);
  return bytes.length;
}

function* pieces(objects: Iterable<TenantObject>): Generator<readonly TenantObject[]> {
  let piece: TenantObject[] = [];
  for (const object of objects) {
    piece.push(object);
    if (piece.length < OBJECTS_OF_FRAME) continue;
    yield piece;
    piece = [];
  }
  if (piece.length > 0) yield piece;
}
