import type { MeterTable } from './meter-table.ts';
import type { MeterGroup, Rule } from './meters.ts';
import type { Rate } from './rate.ts';

/** One scope's meters. Rows are stamped with the rates by which they were last written: a number of `written`. */
export interface ScopeTable {
  readonly table: MeterTable;
  /** Shared by all subjects beyond the bound. */
  readonly overflowRow: number;
  readonly written: RateSet[];
  readonly setOf: WeakMap<readonly Rate[], RateSet>;
  sweptTo: number;
}

/** The rates of a subject, and the same as plain numbers, one after another, for the loops that run for every request. */
export interface RateSet {
  readonly stamp: number;
  readonly rates: readonly Rate[];
  readonly rules: readonly Rule[];
  /**
   * Of each meter: ticks a unit; ticks a µs; most ticks ahead; ticks that must be left at least; the number that stores 0, which for
   * days and months is another one in each. Units are the ticks of what is no rate. Null: one of the rates has a coarser clock.
   */
  plain: Float64Array | null;
}

/** Where the meters of one group of an ask are; made once, and filled in anew for every ask. */
export interface Found {
  scope: ScopeTable;
  /** Low half of the subject's hash, signed; the part of the index that names its row, and where the search there begins. */
  hashLow: number;
  index: Int32Array;
  start: number;
  /** −1: it has none. What follows is then of no meaning. */
  row: number;
  /** The segment that holds the row, as words and as numbers; its first and last word; where its meters begin among the numbers. */
  words: Uint32Array;
  values: Float64Array;
  first: number;
  last: number;
  offset: number;
  plain: Float64Array;
}

/** @param scope - any: it will be replaced */
export const newFound = (scope: ScopeTable): Found => ({
  scope,
  hashLow: 0,
  index: scope.table.indexOf(0),
  start: 0,
  row: -1,
  words: new Uint32Array(1),
  values: new Float64Array(1),
  first: 0,
  last: 0,
  offset: 0,
  plain: new Float64Array(1),
});

/**
 * Finds the rows of all groups of an ask.
 *
 * With millions of subjects each look at the index, and each at a row, is a wait for memory of some 200 to 400 ns. A processor waits
 * for several at once, but only for those that lie within the next some 300 instructions. So each kind of look has a loop of its
 * own that does nothing else: all groups together wait twice, not twice each.
 * @param found - one for every group, its scope set
 * @returns a number of no meaning, made of all that was read, so that no read is left out
 */
export function findRows(found: readonly Found[], groups: readonly MeterGroup[]): number {
  const count = groups.length;
  for (let at = 0; at < count; at++) {
    const place = found[at] as Found;
    const { table } = place.scope;
    const hashLow = (groups[at] as MeterGroup).hashLow | 0;
    place.hashLow = hashLow;
    place.index = table.indexOf(hashLow);
    place.start = table.startOf(hashLow);
  }
  let touched = 0;
  for (let at = 0; at < count; at++) {
    const { index, start } = found[at] as Found;
    touched ^= index[start] as number;
  }
  for (let at = 0; at < count; at++) {
    const place = found[at] as Found;
    setRow(place, place.scope.table.guess(place.index, place.hashLow));
  }
  // A row may lie across two lines of the processor's cache.
  for (let at = 0; at < count; at++) {
    const { words, first, last } = found[at] as Found;
    touched ^= (words[first] as number) ^ (words[last] as number);
  }
  for (let at = 0; at < count; at++) {
    const place = found[at] as Found;
    const { hashHigh, hashLow } = groups[at] as MeterGroup;
    if (place.row !== -1 && place.words[place.first] !== hashHigh) setRow(place, place.scope.table.find(hashHigh, hashLow));
  }
  return touched;
}

export function setRow(found: Found, row: number): void {
  found.row = row;
  if (row === -1) return;
  const { table } = found.scope;
  found.words = table.wordsOf(row);
  found.values = table.valuesOf(row);
  found.first = table.firstWordOf(row);
  found.last = found.first + table.rowWords - 1;
  found.offset = table.offsetOf(row);
}
