import { open } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createFrameReader, SNAPSHOT_VERSION, type Frame, type StorePosition } from './snapshot-format.ts';
import type { TenantDirectory } from './tenant-directory.ts';

export interface LoadedSnapshot {
  readonly position: StorePosition;
  /** Wall ms at which the store was last heard of. */
  readonly heardAtMs: number;
  readonly generation: number;
  /** Its end was torn off, or something strange stands there; what is before it holds. */
  readonly isTorn: boolean;
}

type Header = Extract<Frame, { readonly kind: 'header' }>;

/** Why a snapshot file is not used, in words for an operator. */
class Unusable extends Error {
  override readonly name = 'Unusable';
}

/** The header of a snapshot file; null for one that is missing or that cannot be used. */
export async function readHeader(file: string, key: Buffer): Promise<Header | null> {
  try {
    await using handle = await open(file, 'r');
    return await headerOf(await createFrameReader(handle, key));
  } catch {
    return null;
  }
}

/**
 * Fills an empty directory from a snapshot file. @returns null, with nothing in the directory, where there is no file or where it
 * cannot be used; `onUnusable` then hears why
 */
export async function loadSnapshot(
  file: string,
  {
    key,
    directory,
    onUnusable,
  }: { readonly key: Buffer; readonly directory: TenantDirectory; readonly onUnusable: (because: string) => void },
): Promise<LoadedSnapshot | null> {
  try {
    await using handle = await open(file, 'r');
    const frames = await createFrameReader(handle, key);
    const header = await headerOf(frames);
    if (frames === null) return null;
    let objects = 0;
    for (;;) {
      const read = await frames.next();
      if (read.kind === 'end' || read.kind === 'torn') throw new Unusable('it is truncated: its objects do not end');
      if (read.kind === 'forged') throw new Unusable('its signature is wrong');
      if (read.frame.kind === 'base_end') {
        if (read.frame.objects !== objects) throw new Unusable(`it has ${objects} objects and says ${read.frame.objects}`);
        break;
      }
      if (read.frame.kind !== 'objects') throw new Unusable('it is not in order');
      directory.apply(read.frame.objects);
      objects += read.frame.objects.length;
      await nextTurn();
    }
    let loaded: LoadedSnapshot = {
      position: positionOf(header),
      heardAtMs: header.atMs,
      generation: header.generation,
      isTorn: false,
    };
    for (;;) {
      const read = await frames.next();
      if (read.kind === 'end') return loaded;
      if (read.kind !== 'frame') return { ...loaded, isTorn: true };
      const { frame } = read;
      if (frame.kind === 'change') {
        directory.apply(frame.put, frame.drop);
        loaded = { ...loaded, position: positionOf(frame), heardAtMs: frame.atMs };
      } else if (frame.kind === 'heard') loaded = { ...loaded, heardAtMs: frame.atMs };
    }
  } catch (error) {
    directory.keepOnly(new Set<string>([]));
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (!isMissing) onUnusable(error instanceof Error ? error.message : String(error));
    return null;
  }
}

async function headerOf(frames: Awaited<ReturnType<typeof createFrameReader>>): Promise<Header> {
  if (frames === null) throw new Unusable('it is no snapshot that this version knows');
  const read = await frames.next();
  if (read.kind === 'forged') throw new Unusable('its signature is wrong: it was changed, or written under another pepper');
  if (read.kind !== 'frame') throw new Unusable('it is truncated: it has no header');
  if (read.frame.kind !== 'header') throw new Unusable('it does not begin with a header');
  if (read.frame.version !== SNAPSHOT_VERSION)
    throw new Unusable(`it has version ${read.frame.version}, and this Plimsoll knows ${SNAPSHOT_VERSION}`);
  return read.frame;
}

function positionOf({ origin, commit, hash }: StorePosition): StorePosition {
  return { origin, commit, hash };
}
