import { invariant } from '../kernel/index.ts';

/** Where the numbers of one subject stand. The same object each time: it is good until the next call. */
export interface Row {
  floats: Float64Array;
  /** Of its first float. */
  at: number;
  words: Uint32Array;
  wordsAt: number;
}

/** Rows of numbers by a 64-bit hash, as many as there is room for; the one that was not seen for longest makes way for a new one. */
export interface SubjectRows {
  readonly size: number;
  /** Subjects that had to make way so far. */
  readonly evicted: number;
  /** Bytes of typed arrays that are taken now. */
  readonly byteCount: number;
  find(low: number, high: number): Row | null;
  /** Finds the row, or gives it one of zeros, and counts it as seen. `isNew` of the answer says which. */
  take(low: number, high: number): Row;
  /** Whether the last `take` made its row. */
  isNew(): boolean;
  /**
   * A pinned row makes way for nobody.
   * @returns false when there is no such row, or when a quarter of all that there can be are pinned already
   */
  pin(low: number, high: number, isPinned: boolean): boolean;
}

/** Rows come in segments of this many, so that memory grows as it is needed and never moves. */
const SEGMENT_ROWS = 256;
const NONE = -1;

/** What a row takes besides its numbers: two words of hash, two links, a flag, and two slots of the index. */
export const BYTES_BESIDES = 4 * 4 + 1 + 2 * 4;

/**
 * @param rowsMax - subjects at once, 1 to 4 million
 * @param floatCount - numbers in a row
 * @param wordCount - 32-bit words in a row
 */
export function createSubjectRows({
  rowsMax,
  floatCount,
  wordCount,
}: {
  readonly rowsMax: number;
  readonly floatCount: number;
  readonly wordCount: number;
}): SubjectRows {
  invariant(rowsMax >= 1 && rowsMax <= 2 ** 22, 'a book has 1 to 4,194,304 subjects of a kind');
  const lows = new Uint32Array(rowsMax);
  const highs = new Uint32Array(rowsMax);
  const pinned = new Uint8Array(rowsMax);
  // Open addressing, at most half full: a slot holds a row and one, or zero.
  const slots = new Int32Array(2 ** Math.ceil(Math.log2(2 * rowsMax)));
  const mask = slots.length - 1;
  // From the row seen last to the one not seen for longest; pinned rows are not among them.
  const newer = new Int32Array(rowsMax).fill(NONE);
  const older = new Int32Array(rowsMax).fill(NONE);
  let [newest, oldest, size, pins, evicted] = [NONE, NONE, 0, 0, 0];
  let wasMade = false;
  const floats: Float64Array[] = [];
  const words: Uint32Array[] = [];
  const cursor: Row = { floats: new Float64Array(0), at: 0, words: new Uint32Array(0), wordsAt: 0 };

  const rowAt = (row: number): Row => {
    const segment = Math.floor(row / SEGMENT_ROWS);
    cursor.floats = floats[segment] as Float64Array;
    cursor.words = words[segment] as Uint32Array;
    cursor.at = (row % SEGMENT_ROWS) * floatCount;
    cursor.wordsAt = (row % SEGMENT_ROWS) * wordCount;
    return cursor;
  };
  /** The slot of a hash, or the free one where it would stand. */
  const slotOf = (low: number, high: number): number => {
    let slot = low & mask;
    for (let held = slots[slot] as number; held !== 0; held = slots[slot] as number) {
      if (lows[held - 1] === low && highs[held - 1] === high) return slot;
      slot = (slot + 1) & mask;
    }
    return slot;
  };
  /** Frees a slot, and moves up what stood behind it only because it was taken. */
  const vacate = (slot: number): void => {
    let [free, at] = [slot, slot];
    for (;;) {
      at = (at + 1) & mask;
      const held = slots[at] as number;
      if (held === 0) break;
      const home = (lows[held - 1] as number) & mask;
      if (((at - home) & mask) < ((at - free) & mask)) continue;
      slots[free] = held;
      free = at;
    }
    slots[free] = 0;
  };
  const unlink = (row: number): void => {
    const [next, before] = [newer[row] as number, older[row] as number];
    if (next === NONE) newest = before;
    else older[next] = before;
    if (before === NONE) oldest = next;
    else newer[before] = next;
  };
  const linkNewest = (row: number): void => {
    newer[row] = NONE;
    older[row] = newest;
    if (newest === NONE) oldest = row;
    else newer[newest] = row;
    newest = row;
  };
  const evict = (): number => {
    const row = oldest;
    unlink(row);
    vacate(slotOf(lows[row] as number, highs[row] as number));
    const { floats: rowFloats, at, words: rowWords, wordsAt } = rowAt(row);
    rowFloats.fill(0, at, at + floatCount);
    rowWords.fill(0, wordsAt, wordsAt + wordCount);
    evicted++;
    return row;
  };
  const grow = (): number => {
    if (size % SEGMENT_ROWS === 0) {
      const rows = Math.min(SEGMENT_ROWS, rowsMax - size);
      floats.push(new Float64Array(rows * floatCount));
      words.push(new Uint32Array(rows * wordCount));
    }
    return size++;
  };

  return {
    get size() {
      return size;
    },
    get evicted() {
      return evicted;
    },
    get byteCount() {
      const index =
        lows.byteLength + highs.byteLength + pinned.byteLength + slots.byteLength + newer.byteLength + older.byteLength;
      return floats.reduce(
        (sum, { byteLength }) => sum + byteLength,
        words.reduce((sum, { byteLength }) => sum + byteLength, index),
      );
    },
    find(low, high) {
      const held = slots[slotOf(low, high)] as number;
      return held === 0 ? null : rowAt(held - 1);
    },
    take(low, high) {
      const held = slots[slotOf(low, high)] as number;
      wasMade = held === 0;
      if (held !== 0) {
        const row = held - 1;
        if (row !== newest && pinned[row] === 0) {
          unlink(row);
          linkNewest(row);
        }
        return rowAt(row);
      }
      const row = size < rowsMax ? grow() : evict();
      lows[row] = low;
      highs[row] = high;
      // Looked for again: to make room may have moved the free slot.
      slots[slotOf(low, high)] = row + 1;
      linkNewest(row);
      return rowAt(row);
    },
    isNew: () => wasMade,
    pin(low, high, isPinned) {
      const row = (slots[slotOf(low, high)] as number) - 1;
      if (row < 0) return false;
      if ((pinned[row] === 1) === isPinned) return true;
      if (isPinned && pins + 1 > rowsMax / 4) return false;
      pins += isPinned ? 1 : -1;
      pinned[row] = isPinned ? 1 : 0;
      if (isPinned) unlink(row);
      else linkNewest(row);
      return true;
    },
  };
}
