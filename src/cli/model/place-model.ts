import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { err, ok, type Result } from '#core/kernel';

export interface Expected {
  readonly bytes?: number;
  /** Lower-case hex. */
  readonly sha256?: string;
}

export interface PlacedModel {
  readonly bytes: number;
  readonly sha256: string;
}

const MAGIC = 'GGUF';

/**
 * Writes a model file so that `target` is either what was expected, whole and on the disk, or untouched: into a file beside it,
 * checked as it is written, synced, then renamed.
 * @param onBytes - told how much has been written so far
 */
export async function placeModel(
  content: Readable,
  target: string,
  expected: Expected,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<Result<PlacedModel, string>> {
  await mkdir(path.dirname(target), { recursive: true });
  const partial = `${target}.${randomUUID()}.partial`;
  try {
    const placed = await write(content, partial, onBytes, signal);
    const wrong = mismatch(placed, expected);
    if (wrong !== null) return err(wrong);
    await rename(partial, target);
    return ok({ bytes: placed.bytes, sha256: placed.sha256 });
  } finally {
    await rm(partial, { force: true });
  }
}

/** The size and checksum of a file that is there. */
export async function measureModel(file: string): Promise<PlacedModel> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest('hex') };
}

async function write(
  content: Readable,
  partial: string,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<PlacedModel & { readonly magic: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  let magic = '';
  const file = await open(partial, 'wx');
  try {
    for await (const chunk of content as AsyncIterable<Buffer>) {
      signal.throwIfAborted();
      if (magic.length < MAGIC.length) magic += chunk.toString('latin1', 0, MAGIC.length - magic.length);
      hash.update(chunk);
      await file.writeFile(chunk);
      bytes += chunk.length;
      onBytes(bytes);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { bytes, sha256: hash.digest('hex'), magic };
}

function mismatch(seen: PlacedModel & { readonly magic: string }, expected: Expected): string | null {
  if (seen.magic !== MAGIC) return `what arrived (${seen.bytes} bytes) is not a GGUF file`;
  if (expected.bytes !== undefined && seen.bytes !== expected.bytes) return `expected ${expected.bytes} bytes, got ${seen.bytes}`;
  if (expected.sha256 !== undefined && seen.sha256 !== expected.sha256)
    return `expected the SHA-256 ${expected.sha256}, got ${seen.sha256}; nothing was kept`;
  return null;
}
