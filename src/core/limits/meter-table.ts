/** Rows, and index entries, of a segment: 2^16. */
export const SEGMENT_BITS = 16;
/** An exported constant is looked up in its module each time; this one is part of the code that runs for every request. */
const BITS = SEGMENT_BITS;
const SEGMENT = 1 << BITS;
const MASK = SEGMENT - 1;
const LOAD_MAX = SEGMENT * 0.75;
/** A row starts with two numbers' room: hash (2 words), stamp and epoch. */
const HEAD = 2;
/** Bits of the directory at most: those that do not say where in a segment. */
const DEPTH_MAX = 32 - BITS;

interface IndexSegment {
  /** Pairs: the low half of the hash, and the row's number + 1 (0: empty). Signed: what is 31 bits and a sign needs no box. */
  readonly entries: Int32Array;
  count: number;
  /** How many leading bits of their hashes' low half all its entries share. */
  readonly depth: number;
}

/**
 * The meters of millions of subjects in fixed, small memory: rows of whole numbers in typed arrays, found by a 64-bit hash.
 *
 * Rows lie in segments of 65,536 and are never moved. An index of open addressing, in segments of its own that split in two
 * when they are three quarters full (extendible hashing: Fagin et al., 1979), tells where a subject's row is. So growing costs
 * one small segment at a time, never a pause in proportion to what is there.
 *
 * Memory: a row is 16 + 8 × meters bytes, an index entry 8 at a load of 0.375 to 0.75: 59 to 69 bytes for four meters.
 */
export class MeterTable {
  /** Numbers of a row: its head and its meters. */
  readonly stride: number;
  /** Words of a row. */
  readonly rowWords: number;
  /** Segments of rows; row r is in segment r >>> 16, its values from `offsetOf(r)` on. */
  readonly numbers: Float64Array[] = [];
  /** The same segments as 32-bit words: of a row at offset o, word 2o − 1 is its epoch and word 2o − 2 its stamp. */
  readonly words: Uint32Array[] = [];
  readonly #rowsMax: number;
  #depth = 0;
  #shift = 31;
  #directory: IndexSegment[] = [newIndexSegment(0)];
  /** The entries of the directory's segments, one step nearer. */
  #entries: readonly Int32Array[] = this.#directory.map(({ entries }) => entries);
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
    this.rowWords = 2 * this.stride;
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

  /** Where a row begins among the words of its segment. */
  firstWordOf(row: number): number {
    return (row & MASK) * this.rowWords;
  }

  /** The segment that holds a row, as numbers. */
  valuesOf(row: number): Float64Array {
    return this.numbers[row >>> BITS] as Float64Array;
  }

  /** The same segment as words. */
  wordsOf(row: number): Uint32Array {
    return this.words[row >>> BITS] as Uint32Array;
  }

  isUsed(row: number): boolean {
    return this.wordsOf(row)[2 * this.offsetOf(row) - 1] !== FREED;
  }

  /** The part of the index that names a subject's row: by the leading bits of the low half of its hash. */
  indexOf(hashLow: number): Int32Array {
    // Two shifts, since one by 32 would be one by 0.
    return this.#entries[(hashLow >>> 1) >>> this.#shift] as Int32Array;
  }

  /** Where in its part of the index the search for a subject begins: by the trailing bits. */
  startOf(hashLow: number): number {
    return 2 * (hashLow & MASK);
  }

  /**
   * The row of a subject, or −1, by the low half of its hash alone: `find` answers the same but for one case in billions.
   * @param hashLow - as a signed number
   */
  guess(index: Int32Array, hashLow: number): number {
    for (let at = hashLow & MASK; ; at = (at + 1) & MASK) {
      const found = index[2 * at + 1] as number;
      if (found === 0) return -1;
      if (index[2 * at] === hashLow) return found - 1;
    }
  }

  /** The row of a subject, or −1. */
  find(hashHigh: number, hashLow: number): number {
    const index = this.indexOf(hashLow);
    for (let at = hashLow & MASK; ; at = (at + 1) & MASK) {
      const found = index[2 * at + 1] as number;
      if (found === 0) return -1;
      if (index[2 * at] === (hashLow | 0) && this.#hashHighAt(found - 1) === hashHigh) return found - 1;
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
    const words = this.wordsOf(row);
    words[2 * (offset - HEAD)] = hashHigh;
    words[2 * (offset - HEAD) + 1] = hashLow;
    words[2 * offset - 2] = 0;
    words[2 * offset - 1] = 0;
    (this.numbers[row >>> BITS] as Float64Array).fill(0, offset, offset + this.stride - HEAD);
    place(segment, hashLow, row);
    this.#rowsUsed++;
    return row;
  }

  /** Forgets a row. */
  remove(row: number): void {
    const words = this.wordsOf(row);
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

  #hashHighAt(row: number): number {
    return this.wordsOf(row)[this.firstWordOf(row)] as number;
  }

  #segmentOf(hashLow: number): IndexSegment {
    return this.#directory[(hashLow >>> 1) >>> this.#shift] as IndexSegment;
  }

  #takeRow(): number {
    if (this.#free > 0) {
      const row = this.#free - 1;
      this.#free = this.wordsOf(row)[2 * this.offsetOf(row) - 2] as number;
      return row;
    }
    const row = this.#rowsMade++;
    if (row >>> BITS === this.numbers.length) {
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
    this.#entries = this.#directory.map(({ entries }) => entries);
    return true;
  }
}

/** In place of an epoch: no row in use is 544 years old. */
const FREED = 0xffff_ffff;

const newIndexSegment = (depth: number): IndexSegment => ({ entries: new Int32Array(2 * SEGMENT), count: 0, depth });

function place(segment: IndexSegment, hashLow: number, row: number): void {
  const { entries } = segment;
  let at = hashLow & MASK;
  while (entries[2 * at + 1] !== 0) at = (at + 1) & MASK;
  entries[2 * at] = hashLow;
  entries[2 * at + 1] = row + 1;
  segment.count++;
}

/** Takes an entry out of open addressing: what was pushed past it moves back, so that no search stops short. Source: Knuth, TAOCP 3, 6.4 R. */
function closeGap(entries: Int32Array, at: number): void {
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
