import { crc32 } from 'node:zlib';

/**
 * The journal's bytes, version 1; docs/journal.md is the reference. All integers are little-endian.
 * A segment is a header and then frames; it is written over zeros, so a frame length of zero is the end of the log.
 */
const FORMAT_VERSION = 1;
export const HEADER_BYTES = 64;
export const FRAME_HEADER_BYTES = 20;
/** The most that one frame takes, its header included; also what one reservation sets aside. */
export const FRAME_BYTES_MAX = 8192;
export const PAYLOAD_BYTES_MAX = FRAME_BYTES_MAX - FRAME_HEADER_BYTES;

const MAGIC = Buffer.from('PLMSJRNL', 'latin1');
const JOURNAL_ID_BYTES = 16;
const TWO_TO_32 = 0x1_0000_0000;

export interface SegmentHeader {
  /** 32 lower-case hex digits. */
  readonly journal: string;
  readonly firstSequence: number;
  readonly createdMs: number;
}

/** Header: magic 8, version u32, header bytes u32, journal id 16, first sequence u64, created ms u64, zeros, crc32 of all before. */
export function encodeHeader(header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(bytes, 0);
  bytes.writeUInt32LE(FORMAT_VERSION, 8);
  bytes.writeUInt32LE(HEADER_BYTES, 12);
  bytes.write(header.journal, 16, JOURNAL_ID_BYTES, 'hex');
  writeU64(bytes, header.firstSequence, 32);
  writeU64(bytes, header.createdMs, 40);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, HEADER_BYTES - 4)), HEADER_BYTES - 4);
  return bytes;
}

export type DecodedHeader =
  | { readonly kind: 'header'; readonly header: SegmentHeader }
  | { readonly kind: 'unknown_version'; readonly version: number }
  | { readonly kind: 'damaged' };

export function decodeHeader(bytes: Buffer): DecodedHeader {
  if (bytes.length < HEADER_BYTES || !bytes.subarray(0, 8).equals(MAGIC)) return { kind: 'damaged' };
  const version = bytes.readUInt32LE(8);
  // A newer format may have another header, so its version is read before its checksum.
  if (version > FORMAT_VERSION) return { kind: 'unknown_version', version };
  if (version !== FORMAT_VERSION || crc32(bytes.subarray(0, HEADER_BYTES - 4)) !== bytes.readUInt32LE(HEADER_BYTES - 4)) {
    return { kind: 'damaged' };
  }
  const journal = bytes.toString('hex', 16, 16 + JOURNAL_ID_BYTES);
  return { kind: 'header', header: { journal, firstSequence: readU64(bytes, 32), createdMs: readU64(bytes, 40) } };
}

export interface FrameMark {
  readonly sequence: number;
  /** How many records before this one were not yet on the disk when it was appended. See {@link findProofOfDamage}. */
  readonly unsynced: number;
}

/** Writes a frame of `json` at `at`, where {@link FRAME_BYTES_MAX} bytes must be free, and returns the bytes it took. */
export function writeFrame(into: Buffer, at: number, json: string, mark: FrameMark): number {
  const length = into.write(json, at + FRAME_HEADER_BYTES, PAYLOAD_BYTES_MAX, 'utf8');
  into.writeUInt32LE(length, at);
  writeU64(into, mark.sequence, at + 8);
  into.writeUInt32LE(mark.unsynced, at + 16);
  const end = at + FRAME_HEADER_BYTES + length;
  into.writeUInt32LE(crc32(into.subarray(at + 8, end)), at + 4);
  return end - at;
}

export type ReadFrame =
  | { readonly kind: 'frame'; readonly mark: FrameMark; readonly payloadAt: number; readonly end: number }
  /** A zero length: nothing was written here. */
  | { readonly kind: 'end' }
  /** The buffer stops before the frame does. */
  | { readonly kind: 'more' }
  | { readonly kind: 'bad' };

/** Reads the frame at `at`. It is bad unless its checksum holds and it carries `sequence` (any, when null). */
export function readFrame(bytes: Buffer, at: number, sequence: number | null): ReadFrame {
  if (at + FRAME_HEADER_BYTES > bytes.length) return { kind: 'more' };
  const length = bytes.readUInt32LE(at);
  if (length === 0) return { kind: 'end' };
  if (length > PAYLOAD_BYTES_MAX) return { kind: 'bad' };
  const end = at + FRAME_HEADER_BYTES + length;
  if (end > bytes.length) return { kind: 'more' };
  if (crc32(bytes.subarray(at + 8, end)) !== bytes.readUInt32LE(at + 4)) return { kind: 'bad' };
  const mark = { sequence: readU64(bytes, at + 8), unsynced: bytes.readUInt32LE(at + 16) };
  if (sequence !== null && mark.sequence !== sequence) return { kind: 'bad' };
  return { kind: 'frame', mark, payloadAt: at + FRAME_HEADER_BYTES, end };
}

export interface Damage {
  /** One past the last record that can be seen to have existed. */
  readonly nextSequence: number;
}

/**
 * Tells a torn tail from damage. Where frame `sequence` cannot be read, either a power cut caught it before it was synced (and
 * nobody was told that it was safe), or it was safe once and has been damaged since. Every frame says how many records before
 * it were unsynced when it was appended, so an intact later frame that knew `sequence` to be on the disk proves damage.
 * @returns null for a torn tail
 */
export function findProofOfDamage(bytes: Buffer, from: number, sequence: number): Damage | null {
  let nextSequence = sequence;
  let proven = false;
  for (let at = from; at + FRAME_HEADER_BYTES < bytes.length; at++) {
    const length = bytes.readUInt32LE(at);
    if (length === 0 || length > PAYLOAD_BYTES_MAX) continue;
    const frame = readFrame(bytes, at, null);
    if (frame.kind !== 'frame' || frame.mark.sequence <= sequence) continue;
    nextSequence = frame.mark.sequence + 1;
    proven ||= frame.mark.sequence - frame.mark.unsynced > sequence;
    at = frame.end - 1;
  }
  return proven ? { nextSequence } : null;
}

export function segmentName(firstSequence: number): string {
  return `usage-${String(firstSequence).padStart(16, '0')}.journal`;
}

/** The first sequence that a file's name states, or null for a file that is no segment. */
export function parseSegmentName(name: string): number | null {
  const match = /^usage-(\d{16})\.journal$/.exec(name);
  return match ? Number(match[1]) : null;
}

function writeU64(into: Buffer, value: number, at: number): void {
  into.writeUInt32LE(value % TWO_TO_32, at);
  into.writeUInt32LE(Math.floor(value / TWO_TO_32), at + 4);
}

function readU64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * TWO_TO_32;
}
