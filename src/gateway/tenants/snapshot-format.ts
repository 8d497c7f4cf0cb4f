import { Buffer } from 'node:buffer';
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { TenantObject } from '#contracts/tenancy';
import type { TenantRef } from './tenant-directory.ts';

/**
 * A snapshot file: a first line, and then frames. Each frame is the length of its text in four bytes, the text (JSON), and an
 * HMAC-SHA-256 over the one before it and the text, so none can be changed, left out, exchanged or taken from another file.
 * The header comes first, then all objects, then the end of the base; after that come changes as they happened.
 */
export const SNAPSHOT_LINE = 'plimsoll tenants 1\n';
export const SNAPSHOT_VERSION = 1;

/** Where in the history of a control store something stands. */
export interface StorePosition {
  /** The hash of the store's first audit entry: which installation it is. */
  readonly origin: string;
  readonly commit: number;
  /** The hash of the audit entry of that commit. */
  readonly hash: string;
}

export type Frame =
  | ({ readonly kind: 'header'; readonly version: number; readonly generation: number; readonly atMs: number } & StorePosition)
  | { readonly kind: 'objects'; readonly objects: readonly TenantObject[] }
  | { readonly kind: 'base_end'; readonly objects: number }
  | ({
      readonly kind: 'change';
      readonly put: readonly TenantObject[];
      readonly drop: readonly TenantRef[];
      readonly atMs: number;
    } & StorePosition)
  /** The store was heard at this wall time, and had nothing new. */
  | { readonly kind: 'heard'; readonly atMs: number };

const LENGTH_BYTES = 4;
const MAC_BYTES = 32;
/** More than a page of the largest objects. */
const TEXT_BYTES_MAX = 256 * 1024 * 1024;

/** Makes frames of one file, in order. */
export interface FrameWriter {
  frame(frame: Frame): Buffer;
}

export function createFrameWriter(key: Buffer): FrameWriter {
  let mac = firstMac(key);
  return {
    frame(frame) {
      const text = Buffer.from(JSON.stringify(frame));
      const length = Buffer.alloc(LENGTH_BYTES);
      length.writeUInt32BE(text.length);
      mac = macOf(key, mac, text);
      return Buffer.concat([length, text, mac]);
    },
  };
}

export type ReadFrame =
  | { readonly kind: 'frame'; readonly frame: Frame }
  | { readonly kind: 'end' }
  /** The file ends inside a frame: whoever wrote it was stopped. */
  | { readonly kind: 'torn' }
  /** Changed, or signed under another pepper. */
  | { readonly kind: 'forged' };

/** Reads frames one after another; what it answers was signed. Throws what the disk throws. */
export interface FrameReader {
  next(): Promise<ReadFrame>;
}

export async function createFrameReader(file: FileHandle, key: Buffer): Promise<FrameReader | null> {
  let at = 0;
  let mac = firstMac(key);
  const read = async (bytes: number): Promise<Buffer> => {
    const buffer = Buffer.allocUnsafe(bytes);
    let filled = 0;
    while (filled < bytes) {
      const { bytesRead } = await file.read(buffer, filled, bytes - filled, at + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    at += filled;
    return buffer.subarray(0, filled);
  };
  if ((await read(SNAPSHOT_LINE.length)).toString('latin1') !== SNAPSHOT_LINE) return null;
  return {
    async next() {
      const head = await read(LENGTH_BYTES);
      if (head.length === 0) return { kind: 'end' };
      if (head.length < LENGTH_BYTES) return { kind: 'torn' };
      const length = head.readUInt32BE();
      if (length === 0 || length > TEXT_BYTES_MAX) return { kind: 'forged' };
      const body = await read(length + MAC_BYTES);
      if (body.length < length + MAC_BYTES) return { kind: 'torn' };
      const text = body.subarray(0, length);
      const expected = macOf(key, mac, text);
      if (!timingSafeEqual(expected, body.subarray(length))) return { kind: 'forged' };
      mac = expected;
      // Signed by us: what it says is what we wrote.
      return { kind: 'frame', frame: JSON.parse(text.toString()) as Frame };
    },
  };
}

function firstMac(key: Buffer): Buffer {
  return createHmac('sha256', key).update(SNAPSHOT_LINE).digest();
}

function macOf(key: Buffer, previous: Buffer, text: Buffer): Buffer {
  return createHmac('sha256', key).update(previous).update(text).digest();
}
