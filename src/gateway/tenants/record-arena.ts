import { Buffer } from 'node:buffer';
import { invariant } from '#core/kernel';

/**
 * Millions of small records in a few large buffers, where an object each would cost the heap, and its collector, many times as
 * much. A record is named by its place; a place that was freed is given only to records of the same size class, so a record's
 * start stays one for ever, and memory is bounded by the most there ever was of each class.
 */
export interface RecordArena {
  /** Copies `record` in. @returns its place: never 0, below 2^32 */
  add(record: Uint8Array): number;
  /** Puts `record` in the place of another, if it has the same size class. */
  replace(place: number, record: Uint8Array): boolean;
  free(place: number): void;
  /** The bytes at a place, not a copy: good until the next change. Null where the place is free. */
  read(place: number): Buffer | null;
  bytes(): number;
}

/** Places count in steps of this many bytes, so 32 bits name 32 GiB. */
const STEP = 8;
const HEADER_BYTES = 4;
const SEGMENT_BYTES = 1024 * 1024;
const STEPS_OF_SEGMENT = SEGMENT_BYTES / STEP;

export function createRecordArena(): RecordArena {
  const segments: Buffer[] = [];
  /** By size class: the place that was freed last; each free place holds the one before it. */
  const freed = new Map<number, number>();
  // The first step of the first segment is left out: 0 is nobody's place.
  let usedBytes = STEP;
  let totalBytes = 0;

  return {
    add(record) {
      const place = takeFreed(classOf(record.length)) ?? takeNew(classOf(record.length));
      write(place, record);
      return place;
    },
    replace(place, record) {
      const [segment, at] = find(place);
      if (classOf(segment.readUInt32LE(at)) !== classOf(record.length)) return false;
      write(place, record);
      return true;
    },
    free(place) {
      const [segment, at] = find(place);
      const sizeClass = classOf(segment.readUInt32LE(at));
      segment.writeUInt32LE(0, at);
      segment.writeUInt32LE(freed.get(sizeClass) ?? 0, at + HEADER_BYTES);
      freed.set(sizeClass, place);
    },
    read(place) {
      const [segment, at] = find(place);
      const length = segment.readUInt32LE(at);
      return length === 0 ? null : segment.subarray(at + HEADER_BYTES, at + HEADER_BYTES + length);
    },
    bytes: () => totalBytes,
  };

  function find(place: number): readonly [Buffer, number] {
    const segment = segments[Math.floor(place / STEPS_OF_SEGMENT)];
    invariant(segment !== undefined, 'a place is one that was given');
    return [segment, (place % STEPS_OF_SEGMENT) * STEP];
  }

  function write(place: number, record: Uint8Array): void {
    invariant(record.length > 0, 'a record has at least one byte');
    const [segment, at] = find(place);
    segment.writeUInt32LE(record.length, at);
    segment.set(record, at + HEADER_BYTES);
  }

  function takeFreed(sizeClass: number): number | null {
    const place = freed.get(sizeClass) ?? 0;
    if (place === 0) return null;
    const [segment, at] = find(place);
    freed.set(sizeClass, segment.readUInt32LE(at + HEADER_BYTES));
    return place;
  }

  function takeNew(sizeClass: number): number {
    const bytes = sizeClass * STEP;
    let segment = segments.at(-1);
    if (segment === undefined || usedBytes + bytes > segment.length) {
      if (segments.length > 0) usedBytes = 0;
      // A record larger than a segment has one of its own.
      segment = Buffer.alloc(Math.max(SEGMENT_BYTES, usedBytes + bytes));
      segments.push(segment);
      totalBytes += segment.length;
    }
    const place = (segments.length - 1) * STEPS_OF_SEGMENT + usedBytes / STEP;
    invariant(place < 2 ** 32, 'the arena holds 32 GiB');
    // Beyond its first megabyte a segment has no places, so one that is larger is full.
    usedBytes = segment.length > SEGMENT_BYTES ? segment.length : usedBytes + bytes;
    return place;
  }
}

/** How many steps a record takes, header included. */
function classOf(recordBytes: number): number {
  return Math.ceil((HEADER_BYTES + recordBytes) / STEP);
}
