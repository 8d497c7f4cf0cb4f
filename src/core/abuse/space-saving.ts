import { invariant } from '../kernel/index.ts';

/** How often something was seen: never less than the truth, and more by at most `overMax`. */
export interface HeavyCount {
  readonly count: number;
  readonly overMax: number;
}

/** Counts the things that are seen most in fixed memory; everything seen more often than N/m of N times is among them. */
export interface HeavyCounter {
  /** Counts `hash` once more. @returns its count now */
  add(hash: number): HeavyCount;
  /** What is known of `hash`; a count of 0 when it holds no slot, and then it was seen at most `overMax` times. */
  count(hash: number): HeavyCount;
  clear(): void;
}

/**
 * @param slots - m, 1 to 4,096: they are searched one by one, so this is for things that happen seldom
 * Source: Space-Saving (Metwally et al. 2005).
 */
export function createHeavyCounter(slots: number): HeavyCounter {
  invariant(slots >= 1 && slots <= 4096, 'a heavy counter has 1 to 4,096 slots');
  const hashes = new Uint32Array(slots);
  const counts = new Uint32Array(slots);
  const overs = new Uint32Array(slots);

  const least = (): number => {
    let slot = 0;
    for (let at = 1; at < slots; at++) if ((counts[at] as number) < (counts[slot] as number)) slot = at;
    return slot;
  };
  const find = (hash: number): number => {
    for (let at = 0; at < slots; at++) if (hashes[at] === hash && counts[at] !== 0) return at;
    return -1;
  };
  const read = (slot: number): HeavyCount => ({ count: counts[slot] as number, overMax: overs[slot] as number });

  return {
    add(hash) {
      let slot = find(hash);
      if (slot < 0) {
        slot = least();
        overs[slot] = counts[slot] as number;
        hashes[slot] = hash;
      }
      counts[slot] = (counts[slot] as number) + 1;
      return read(slot);
    },
    count(hash) {
      const slot = find(hash);
      return slot < 0 ? { count: 0, overMax: counts[least()] as number } : read(slot);
    },
    clear() {
      counts.fill(0);
      overs.fill(0);
    },
  };
}
