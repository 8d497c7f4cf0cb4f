/** Rows, and index entries, of a segment: 2^14. */
export const SEGMENT_BITS = 16;
const SEGMENT = 1 << SEGMENT_BITS;
const MASK = SEGMENT - 1;
const LOAD_MAX = SEGMENT * 0.75;
/** A row starts with two numbers' room: hash (2 words), stamp and epoch. */
const HEAD = 2;
/** Bits of the directory at most: those that do not say where in a segment. */
const DEPTH_MAX = 32 - SEGMENT_BITS;

interface IndexSegment {
  /** Pairs: the low half of the hash, and the row's number + 1 (0: empty). */
  readonly entries: Uint32Array;
  count: number;
  /** How many leading bits of their hashes' low half all its entries share. */
  readonly depth: number;
}

/**
 * The meters of millions of subjects in fixed, small memory: rows of whole numbers in typed arrays, found by a 64-bit hash.
 *
 * Rows lie in segments of 16,384 and are never moved. An index of open addressing, in segments of its own that split in two
 * when they are three quarters full (extendible hashing: Fagin et al., 1979), tells where a subject's row is. So growing costs
 * one small segment at a time, never a pause in proportion to what is there.
 *
 * Memory: a row is 16 + 8 × meters bytes, an index entry 8 at a load of 0.375 to 0.75: 59 to 69 bytes for four meters.
 */
export class MeterTable {
  /** Numbers of a row: its head and its meters. */
  readonly stride: number;
  /** Segments of rows; row r is in segment r >>> 14, its values from `offsetOf(r)` on. */
  readonly numbers: Float64Array[] = [];
  /** The same segments as 32-bit words: of a row at offset o, word 2o − 1 is its epoch and word 2o − 2 its stamp. */
  readonly words: Uint32Array[] = [];
  readonly #rowsMax: number;
  #depth = 0;
  #shift = 31;
  #directory: IndexSegment[] = [newIndexSegment(0)];
  #rowsMade = 0;
  #rowsUsed = 0;
  /** Head of the list of freed rows, as row + 1; the next is in the row's stamp. */
  #free = 0;

  /**
   * @param width - meters a row, 1 or more
   * @param rowsMax - the bound on rows
   */
  constructor(width: number, rowsMax: number) {
    this.stride = HEAD + width;
    this.#rowsMax = rowsMax;
  }

  /** Rows in use. */
  get size(): number {
    return this.#rowsUsed;
  }

  /** Rows that exist, used or free: 0 to this may be looked at. */
  get rows(): number {
    return this.#rowsMade;
  }

  /** Where a row's values begin in its segment. */
  offsetOf(row: number): number {
    return (row & MASK) * this.stride + HEAD;
  }

  isUsed(row: number): boolean {
    return this.#wordsOf(row)[2 * this.offsetOf(row) - 1] !== FREED;
  }

  /** Reads the place where the index names a subject's row: asked of several tables in turn, their memories are waited for once. */
  touchIndex(hashLow: number): number {
    return this.#segmentOf(hashLow).entries[2 * (hashLow & MASK)] as number;
  }

  /** The row of a subject, or −1, by the low half of its hash alone: `find` answers the same but for one case in billions. */
  guess(hashLow: number): number {
    const { entries } = this.#segmentOf(hashLow);
    for (let at = hashLow & MASK; ; at = (at + 1) & MASK) {
      const found = entries[2 * at + 1] as number;
      if (found === 0) return -1;
      if (entries[2 * at] === hashLow) return found - 1;
    }
  }

  /** Reads a row at both ends: it may lie across two lines of the processor's cache. */
  touch(row: number): number {
    const words = this.#wordsOf(row);
    const first = 2 * (row & MASK) * this.stride;
    return (words[first] as number) ^ (words[first + 2 * this.stride - 1] as number);
  }

  /** The high half of the hash of a row. */
  hashHighAt(row: number): number {
    return this.#wordsOf(row)[2 * (row & MASK) * this.stride] as number;
  }

  /** The row of a subject, or −1. */
  find(hashHigh: number, hashLow: number): number {
    const { entries } = this.#segmentOf(hashLow);
    for (let at = hashLow & MASK; ; at = (at + 1) & MASK) {
      const found = entries[2 * at + 1] as number;
      if (found === 0) return -1;
      if (entries[2 * at] === hashLow && this.hashHighAt(found - 1) === hashHigh) return found - 1;
    }
  }

  /** A new row, all its meters 0, for a subject that has none; −1 when the table is at its bound. */
  insert(hashHigh: number, hashLow: number): number {
    if (this.#rowsUsed >= this.#rowsMax) return -1;
    let segment = this.#segmentOf(hashLow);
    while (segment.count >= LOAD_MAX) {
      if (!this.#split(segment, hashLow)) return -1;
      segment = this.#segmentOf(hashLow);
    }
    const row = this.#takeRow();
    const offset = this.offsetOf(row);
    const words = this.#wordsOf(row);
    words[2 * (offset - HEAD)] = hashHigh;
    words[2 * (offset - HEAD) + 1] = hashLow;
    words[2 * offset - 2] = 0;
    words[2 * offset - 1] = 0;
    (this.numbers[row >>> SEGMENT_BITS] as Float64Array).fill(0, offset, offset + this.stride - HEAD);
    place(segment, hashLow, row);
    this.#rowsUsed++;
    return row;
  }

  /** Forgets a row. */
  remove(row: number): void {
    const words = this.#wordsOf(row);
    const offset = this.offsetOf(row);
    const hashLow = words[2 * (offset - HEAD) + 1] as number;
    const segment = this.#segmentOf(hashLow);
    let at = hashLow & MASK;
    while (segment.entries[2 * at + 1] !== row + 1) at = (at + 1) & MASK;
    closeGap(segment.entries, at);
    segment.count--;
    this.#rowsUsed--;
    words[2 * offset - 1] = FREED;
    words[2 * offset - 2] = this.#free;
    this.#free = row + 1;
  }

  /** By the leading bits of the low half; the trailing ones say where in the segment. */
  #segmentOf(hashLow: number): IndexSegment {
    // Two shifts, since one by 32 would be one by 0.
    return this.#directory[(hashLow >>> 1) >>> this.#shift] as IndexSegment;
  }

  #wordsOf(row: number): Uint32Array {
    return this.words[row >>> SEGMENT_BITS] as Uint32Array;
  }

  #takeRow(): number {
    if (this.#free > 0) {
      const row = this.#free - 1;
      this.#free = this.#wordsOf(row)[2 * this.offsetOf(row) - 2] as number;
      return row;
    }
    const row = this.#rowsMade++;
    if (row >>> SEGMENT_BITS === this.numbers.length) {
      const made = new Float64Array(SEGMENT * this.stride);
      this.numbers.push(made);
      this.words.push(new Uint32Array(made.buffer));
    }
    return row;
  }

  /** Splits a full index segment in two by the next bit; the directory doubles when it has no bit left for that. */
  #split(full: IndexSegment, hashLow: number): boolean {
    if (full.depth === this.#depth) {
      if (this.#depth === DEPTH_MAX) return false;
      this.#directory = this.#directory.flatMap((segment) => [segment, segment]);
      this.#depth++;
      this.#shift--;
    }
    const low = newIndexSegment(full.depth + 1);
    const high = newIndexSegment(full.depth + 1);
    for (let at = 0; at < SEGMENT; at++) {
      const entry = full.entries[2 * at + 1] as number;
      if (entry === 0) continue;
      const hash = full.entries[2 * at] as number;
      place((hash >>> (31 - full.depth)) & 1 ? high : low, hash, entry - 1);
    }
    const span = 1 << (this.#depth - full.depth);
    const first = Math.floor(((hashLow >>> 1) >>> this.#shift) / span) * span;
    this.#directory.fill(low, first, first + span / 2);
    this.#directory.fill(high, first + span / 2, first + span);
    return true;
  }
}

/** In place of an epoch: no row in use is 544 years old. */
const FREED = 0xffff_ffff;

const newIndexSegment = (depth: number): IndexSegment => ({ entries: new Uint32Array(2 * SEGMENT), count: 0, depth });

function place(segment: IndexSegment, hashLow: number, row: number): void {
  const { entries } = segment;
  let at = hashLow & MASK;
  while (entries[2 * at + 1] !== 0) at = (at + 1) & MASK;
  entries[2 * at] = hashLow;
  entries[2 * at + 1] = row + 1;
  segment.count++;
}

/** Takes an entry out of open addressing: what was pushed past it moves back, so that no search stops short. Source: Knuth, TAOCP 3, 6.4 R. */
function closeGap(entries: Uint32Array, at: number): void {
  let gap = at;
  for (let next = (gap + 1) & MASK; entries[2 * next + 1] !== 0; next = (next + 1) & MASK) {
    const home = (entries[2 * next] as number) & MASK;
    if (((next - home) & MASK) < ((next - gap) & MASK)) continue;
    entries[2 * gap] = entries[2 * next] as number;
    entries[2 * gap + 1] = entries[2 * next + 1] as number;
    gap = next;
  }
  entries[2 * gap] = 0;
  entries[2 * gap + 1] = 0;
}
