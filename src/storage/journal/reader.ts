import path from 'node:path';
import type { JournalFile, JournalFiles } from './files.ts';
import { decodeHeader, FRAME_BYTES_MAX, HEADER_BYTES, parseSegmentName, readFrame, segmentName } from './format.ts';

/** What lies next in a journal's files. */
export type JournalPiece =
  | {
      readonly kind: 'records';
      readonly from: number;
      readonly to: number;
      /** The JSON texts of records `from` up to `to`, each ended by a line feed. Good until the next call. */
      readonly lines: Buffer;
    }
  /** Records `from` up to `to` cannot be read and never will be; `segment` is the first sequence of the file to keep. */
  | { readonly kind: 'lost'; readonly from: number; readonly to: number; readonly segment: number }
  /** Nothing more that is safe on the disk. */
  | { readonly kind: 'nothing' }
  /** The newest segment is damaged: what follows can be told only when the next one is begun. */
  | { readonly kind: 'stuck'; readonly at: number };

/** Follows a journal's segments, from any position, while they are being written. */
export interface JournalReader {
  /** At most `recordsMax` records, and only those below `syncedTo`. */
  next(options: { readonly syncedTo: number; readonly recordsMax: number }): Promise<JournalPiece>;
  close(): Promise<void>;
}

/** The most of one piece: enough that what a transaction costs is shared by thousands of records. */
const READ_BYTES = 4 * 1024 * 1024;
const LINE_FEED = 0x0a;

export function createJournalReader(options: {
  readonly directory: string;
  readonly files: JournalFiles;
  readonly from: number;
}): JournalReader {
  const { directory, files } = options;
  let position = options.from;
  let open: { readonly firstSequence: number; readonly file: JournalFile; at: number; sequence: number } | null = null;
  const window = Buffer.alloc(READ_BYTES);
  const lines = Buffer.alloc(READ_BYTES);

  async function next(limit: { readonly syncedTo: number; readonly recordsMax: number }): Promise<JournalPiece> {
    if (position >= limit.syncedTo) return { kind: 'nothing' };
    for (;;) {
      if (open === null) {
        const missing = await openAt(position);
        if (missing !== null) return missing;
      }
      const piece = await readHere(limit);
      if (piece !== null) return piece;
    }
  }

  /** Opens the segment that holds `sequence`; says what is missing when none does. */
  async function openAt(sequence: number): Promise<JournalPiece | null> {
    const starts = await segmentStarts();
    const here = starts.findLast((start) => start <= sequence);
    if (here === undefined) {
      const oldest = starts[0];
      if (oldest === undefined) return { kind: 'stuck', at: sequence };
      position = oldest;
      return { kind: 'lost', from: sequence, to: oldest, segment: oldest };
    }
    const file = await files.open(path.join(directory, segmentName(here)), { create: false });
    const header = Buffer.alloc(HEADER_BYTES);
    await file.read(header, 0);
    const decoded = decodeHeader(header);
    if (decoded.kind === 'header' && decoded.header.firstSequence === here) {
      open = { firstSequence: here, file, at: HEADER_BYTES, sequence: here };
      return null;
    }
    await file.close();
    return skipFrom(here, starts);
  }

  /** Reads on in the open segment; null when it is done and the next one is to be opened. */
  async function readHere(limit: { readonly syncedTo: number; readonly recordsMax: number }): Promise<JournalPiece | null> {
    if (open === null) return null;
    const bytes = window.subarray(0, await open.file.read(window, open.at));
    const from = position;
    let at = 0;
    let used = 0;
    let isBroken = false;
    while (open.sequence < limit.syncedTo && position - from < limit.recordsMax) {
      const frame = readFrame(bytes, at, open.sequence);
      if (frame.kind !== 'frame') {
        // A window that ends inside a frame is refilled; a file that does is broken.
        isBroken = frame.kind !== 'more' || bytes.length - at >= FRAME_BYTES_MAX || bytes.length < window.length;
        break;
      }
      // Records before the position were applied before this reader was made.
      if (open.sequence === position) {
        used += bytes.copy(lines, used, frame.payloadAt, frame.end);
        lines[used++] = LINE_FEED;
        position++;
      }
      at = frame.end;
      open.sequence++;
    }
    open.at += at;
    if (position > from) return { kind: 'records', from, to: position, lines: lines.subarray(0, used) };
    if (!isBroken) return position >= limit.syncedTo ? { kind: 'nothing' } : null;
    return endOfSegment();
  }

  /** The open segment has no more to give, though the journal has. */
  async function endOfSegment(): Promise<JournalPiece | null> {
    if (open === null) return null;
    const { firstSequence, sequence } = open;
    const starts = await segmentStarts();
    if (sequence >= position && starts.includes(sequence) && sequence !== firstSequence) {
      await closeOpen();
      return null;
    }
    const skipped = skipFrom(firstSequence, starts);
    if (skipped.kind === 'lost') await closeOpen();
    return skipped;
  }

  /** Passes over what is left of a damaged segment, which is known to end where the next begins. */
  function skipFrom(segment: number, starts: readonly number[]): JournalPiece {
    const following = starts.find((start) => start > segment);
    if (following === undefined) return { kind: 'stuck', at: position };
    const from = position;
    position = Math.max(position, following);
    return { kind: 'lost', from, to: position, segment };
  }

  async function segmentStarts(): Promise<readonly number[]> {
    const names = await files.list(directory);
    return names
      .map(parseSegmentName)
      .filter((start) => start !== null)
      .toSorted((a, b) => a - b);
  }

  async function closeOpen(): Promise<void> {
    const file = open?.file;
    open = null;
    await file?.close();
  }

  return { next, close: closeOpen };
}
