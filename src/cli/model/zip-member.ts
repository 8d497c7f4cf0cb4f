import { open, type FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createInflateRaw } from 'node:zlib';

const END_SIGNATURE = 0x06054b50;
const ENTRY_SIGNATURE = 0x02014b50;
const LOCAL_SIGNATURE = 0x04034b50;
const END_BYTES = 22;
/** The end record is followed by a comment of at most this. */
const COMMENT_BYTES_MAX = 65_535;
const DIRECTORY_BYTES_MAX = 16 * 1024 * 1024;
const STORED = 0;
const DEFLATED = 8;

export class ZipUnreadable extends Error {
  override readonly name = 'ZipUnreadable';
}

interface Entry {
  readonly method: number;
  readonly compressedBytes: number;
  readonly localOffset: number;
}

/**
 * Hands one member of a ZIP file (a wheel is one) to `use`, as it streams off the disk. Nothing is unpacked to a path that the
 * archive chooses. Large (ZIP64) and encrypted archives are refused. Source: PKWARE APPNOTE 6.3.10.
 */
export async function useZipMember<T>(archive: string, member: string, use: (content: Readable) => Promise<T>): Promise<T> {
  const file = await open(archive);
  try {
    const { method, compressedBytes, localOffset } = await findEntry(file, member);
    const header = await readAt(file, localOffset, 30);
    if (header.readUInt32LE(0) !== LOCAL_SIGNATURE) throw new ZipUnreadable(`the member ${member} is not where the archive says`);
    const start = localOffset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
    if (method !== STORED && method !== DEFLATED)
      throw new ZipUnreadable(`the member ${member} is compressed by method ${method}; 0 and 8 are known`);
    const raw =
      compressedBytes === 0
        ? Readable.from([])
        : file.createReadStream({ start, end: start + compressedBytes - 1, autoClose: false });
    return await useContent(raw, method, use);
  } finally {
    await file.close();
  }
}

async function useContent<T>(raw: Readable, method: number, use: (content: Readable) => Promise<T>): Promise<T> {
  try {
    if (method === STORED) return await use(raw);
    const inflate = createInflateRaw();
    raw.once('error', (error: Error) => inflate.destroy(error));
    return await use(raw.pipe(inflate));
  } finally {
    raw.destroy();
  }
}

async function findEntry(file: FileHandle, member: string): Promise<Entry> {
  const { size } = await file.stat();
  const tail = await readAt(
    file,
    Math.max(0, size - END_BYTES - COMMENT_BYTES_MAX),
    Math.min(size, END_BYTES + COMMENT_BYTES_MAX),
  );
  const end = lastEndRecord(tail);
  const directoryBytes = tail.readUInt32LE(end + 12);
  if (directoryBytes > DIRECTORY_BYTES_MAX) throw new ZipUnreadable('the archive is a ZIP64, or its directory is too large');
  const directory = await readAt(file, tail.readUInt32LE(end + 16), directoryBytes);
  for (let at = 0; at + 46 <= directory.length;) {
    if (directory.readUInt32LE(at) !== ENTRY_SIGNATURE) break;
    const nameBytes = directory.readUInt16LE(at + 28);
    if (directory.toString('utf8', at + 46, at + 46 + nameBytes) === member) {
      if ((directory.readUInt16LE(at + 8) & 1) === 1) throw new ZipUnreadable(`the member ${member} is encrypted`);
      return {
        method: directory.readUInt16LE(at + 10),
        compressedBytes: directory.readUInt32LE(at + 20),
        localOffset: directory.readUInt32LE(at + 42),
      };
    }
    at += 46 + nameBytes + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
  }
  throw new ZipUnreadable(`the archive has no member ${member}`);
}

function lastEndRecord(tail: Buffer): number {
  for (let at = tail.length - END_BYTES; at >= 0; at--) if (tail.readUInt32LE(at) === END_SIGNATURE) return at;
  throw new ZipUnreadable('this is not a ZIP archive, or it is cut short');
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, position);
  if (bytesRead < length) throw new ZipUnreadable('the archive is cut short');
  return buffer;
}
