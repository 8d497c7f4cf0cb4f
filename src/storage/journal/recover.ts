import path from 'node:path';
import {
  decodeHeader,
  FRAME_BYTES_MAX,
  FRAME_HEADER_BYTES,
  findProofOfDamage,
  HEADER_BYTES,
  parseSegmentName,
  readFrame,
} from './format.ts';
import type { JournalEvent } from './event.ts';
import type { JournalFile, JournalFiles } from './files.ts';

const SPARE_NAME = /^usage-spare-\d+\.zeros$/;
const PARTIAL_NAME = /^usage-spare-\d+\.partial$/;
const ASIDE_NAME = /\.damaged$/;

/** A segment that takes no more records. */
export interface ClosedSegment {
  readonly name: string;
  readonly firstSequence: number;
  readonly bytes: number;
}

/** What a directory held when it was opened, made safe to go on from. */
export interface Recovered {
  /** The journal's id, null for a directory without one. */
  readonly journal: string | null;
  readonly nextSequence: number;
  readonly closed: readonly ClosedSegment[];
  /** The segment to go on in, open; null when a new one must be begun. */
  readonly tail: { readonly segment: ClosedSegment; readonly file: JournalFile; readonly at: number } | null;
  /** Complete segments of zeros, ready for use. */
  readonly spares: readonly { readonly name: string; readonly bytes: number }[];
  /** Bytes of damaged segments that were set aside and still count against the bound. */
  readonly asideBytes: number;
}

class UnknownJournalFormat extends Error {
  override readonly name = 'UnknownJournalFormat';
}

/**
 * Reads a journal's directory after any kind of end. Only the last segment can have a torn tail, since each is synced whole
 * before the next begins; the earlier ones are checked by whoever reads them.
 */
export async function recover(
  directory: string,
  files: JournalFiles,
  onEvent: (event: JournalEvent) => void,
): Promise<Recovered> {
  const names = await files.list(directory);
  for (const name of names.filter((each) => PARTIAL_NAME.test(each))) await files.remove(path.join(directory, name));
  const sized = async (name: string) => ({ name, bytes: await files.size(path.join(directory, name)) });
  const spares = await Promise.all(names.filter((name) => SPARE_NAME.test(name)).map(sized));
  const aside = await Promise.all(names.filter((name) => ASIDE_NAME.test(name)).map(sized));
  const asideBytes = aside.reduce((sum, { bytes }) => sum + bytes, 0);
  const segments: ClosedSegment[] = [];
  for (const name of names.toSorted()) {
    const firstSequence = parseSegmentName(name);
    if (firstSequence !== null) segments.push({ ...(await sized(name)), firstSequence });
  }
  const last = segments.pop();
  if (!last) return { journal: null, nextSequence: 0, closed: [], tail: null, spares, asideBytes };

  const file = await files.open(path.join(directory, last.name), { create: false });
  const found = await recoverTail(last, file, onEvent);
  if (found.writableAt !== null) {
    const tail = { segment: last, file, at: found.writableAt };
    return { journal: found.journal, nextSequence: found.nextSequence, closed: segments, tail, spares, asideBytes };
  }
  await file.close();
  const journal = found.journal ?? (await firstReadableId(directory, segments, files));
  return { journal, nextSequence: found.nextSequence, closed: [...segments, last], tail: null, spares, asideBytes };
}

interface RecoveredTail {
  readonly journal: string | null;
  readonly nextSequence: number;
  /** Null when the segment is damaged and must not be written any more. */
  readonly writableAt: number | null;
}

async function recoverTail(
  segment: ClosedSegment,
  file: JournalFile,
  onEvent: (event: JournalEvent) => void,
): Promise<RecoveredTail> {
  const bytes = Buffer.alloc(segment.bytes);
  const whole = bytes.subarray(0, await file.read(bytes, 0));
  const decoded = decodeHeader(whole);
  if (decoded.kind === 'unknown_version') {
    throw new UnknownJournalFormat(
      `journal segment ${segment.name} has format version ${decoded.version}, which this version of Plimsoll does not know: start the version that wrote it`,
    );
  }
  if (decoded.kind === 'damaged' || decoded.header.firstSequence !== segment.firstSequence) {
    // How many records it held cannot be known, so their numbers are never used again: a number means one record for ever.
    const recordsLostMax = Math.ceil(segment.bytes / (FRAME_HEADER_BYTES + 1));
    onEvent(damageEvent(segment.name, 0, recordsLostMax));
    return { journal: null, nextSequence: segment.firstSequence + recordsLostMax, writableAt: null };
  }
  const { journal } = decoded.header;
  let at = HEADER_BYTES;
  let sequence = segment.firstSequence;
  for (;;) {
    const frame = readFrame(whole, at, sequence);
    if (frame.kind !== 'frame') break;
    at = frame.end;
    sequence++;
  }
  const written = whole.subarray(0, endOfWritten(whole, at));
  const damage = findProofOfDamage(written, at, sequence);
  if (damage) {
    onEvent(damageEvent(segment.name, at, damage.nextSequence - sequence));
    return { journal, nextSequence: damage.nextSequence, writableAt: null };
  }
  await cutTail({ from: at, to: written.length }, segment, file, onEvent);
  // A killed process leaves its last writes in the page cache only: from here on they count as safe, so make them so. Written
  // again first: had a sync failed before the kill, the kernel would take the pages for clean, and a sync alone would do nothing.
  await file.write(whole.subarray(0, at), 0);
  await file.datasync();
  return { journal, nextSequence: sequence, writableAt: at };
}

/** One past the last byte that is not zero, `from` at least. */
function endOfWritten(bytes: Buffer, from: number): number {
  const zeros = Buffer.alloc(65_536);
  let end = bytes.length;
  while (end - from >= zeros.length && bytes.subarray(end - zeros.length, end).equals(zeros)) end -= zeros.length;
  while (end > from && bytes[end - 1] === 0) end--;
  return end;
}

/** Writes zeros over a torn tail, which no one was told was safe. */
async function cutTail(
  torn: { readonly from: number; readonly to: number },
  segment: ClosedSegment,
  file: JournalFile,
  onEvent: (event: JournalEvent) => void,
): Promise<void> {
  const length = torn.to - torn.from;
  if (length === 0) return;
  await file.write(Buffer.alloc(length), torn.from);
  const message = `journal segment ${segment.name} had a torn tail of ${length} bytes at byte ${torn.from}, not yet synced when the process or the power went: cut off`;
  onEvent({ level: 'warn', kind: 'torn_tail', segment: segment.name, atByte: torn.from, message });
}

function damageEvent(segment: string, at: number, recordsLostMax: number): JournalEvent {
  const message = `journal segment ${segment} is damaged at byte ${at}: up to ${recordsLostMax} records that were safe on the disk cannot be read; it is kept as ${segment}.damaged once the rest is applied`;
  return { level: 'error', kind: 'damaged', segment, recordsLostMax, message };
}

async function firstReadableId(
  directory: string,
  segments: readonly ClosedSegment[],
  files: JournalFiles,
): Promise<string | null> {
  for (const { name } of segments) {
    const file = await files.open(path.join(directory, name), { create: false });
    try {
      const bytes = Buffer.alloc(HEADER_BYTES);
      await file.read(bytes, 0);
      const decoded = decodeHeader(bytes);
      if (decoded.kind === 'header') return decoded.header.journal;
    } finally {
      await file.close();
    }
  }
  return null;
}

/** The least capacity that a segment can usefully have: one record of any size. */
export const SEGMENT_BYTES_MIN = HEADER_BYTES + FRAME_BYTES_MAX;
