/**
 * From hashes to places, four bytes an entry and no object each. Open addressing in many small tables, so that no growth touches
 * more than one of them and none is felt.
 * Source: linear probing with backward-shift deletion (Knuth, volume 3, section 6.4, algorithm R).
 */
export interface PlaceIndex {
  /** The first place of this hash for which `isIt` holds, or 0. */
  find(hash: number, isIt: (place: number) => boolean): number;
  /** Adds a place that is not in it. */
  add(hash: number, place: number): void;
  remove(hash: number, place: number): void;
  /** All places, copied, in no order. */
  places(): Uint32Array;
  bytes(): number;
}

const SHARD_BITS = 8;
const SHARDS = 2 ** SHARD_BITS;
const FIRST_SLOTS = 8;
/** Of four slots three are used at most. */
const FULL = 0.75;

interface Shard {
  slots: Uint32Array;
  used: number;
}

/** @param hashOf - the hash, unsigned 32 bits, of the record at a place */
export function createPlaceIndex(hashOf: (place: number) => number): PlaceIndex {
  const shards = Array.from({ length: SHARDS }, (): Shard => ({ slots: new Uint32Array(FIRST_SLOTS), used: 0 }));
  return {
    find(hash, isIt) {
      const { slots } = shardOf(hash);
      const mask = slots.length - 1;
      for (let at = slotOf(hash) & mask; ; at = (at + 1) & mask) {
        const place = slots[at] ?? 0;
        if (place === 0 || isIt(place)) return place;
      }
    },
    add(hash, place) {
      const shard = shardOf(hash);
      if (++shard.used > shard.slots.length * FULL) grow(shard);
      insert(shard.slots, hash, place);
    },
    remove(hash, place) {
      const shard = shardOf(hash);
      const { slots } = shard;
      const mask = slots.length - 1;
      let gap = slotOf(hash) & mask;
      while (slots[gap] !== place) {
        if (slots[gap] === 0) return;
        gap = (gap + 1) & mask;
      }
      shard.used--;
      // Whoever stands behind moves up, unless that would put it before where it belongs.
      for (let at = (gap + 1) & mask; ; at = (at + 1) & mask) {
        const other = slots[at] ?? 0;
        if (other === 0) break;
        const home = slotOf(hashOf(other)) & mask;
        if (((at - home) & mask) < ((at - gap) & mask)) continue;
        slots[gap] = other;
        gap = at;
      }
      slots[gap] = 0;
    },
    places() {
      const all = new Uint32Array(shards.reduce((sum, { used }) => sum + used, 0));
      let count = 0;
      for (const { slots } of shards) for (const place of slots) if (place !== 0) all[count++] = place;
      return all;
    },
    bytes: () => shards.reduce((sum, { slots }) => sum + slots.byteLength, 0),
  };

  function shardOf(hash: number): Shard {
    const shard = shards[hash % SHARDS];
    if (shard === undefined) throw new RangeError('a hash is an unsigned 32-bit integer');
    return shard;
  }

  function grow(shard: Shard): void {
    const larger = new Uint32Array(shard.slots.length * 2);
    for (const place of shard.slots) if (place !== 0) insert(larger, hashOf(place), place);
    shard.slots = larger;
  }
}

/** The bits that did not choose the shard. */
function slotOf(hash: number): number {
  return hash >>> SHARD_BITS;
}

function insert(slots: Uint32Array, hash: number, place: number): void {
  const mask = slots.length - 1;
  let at = slotOf(hash) & mask;
  while (slots[at] !== 0) at = (at + 1) & mask;
  slots[at] = place;
}
