/**
 * Two 32-bit integers that belong to one installation and are kept like a secret: whoever knows them can choose names that collide
 * in a sketch, or names that are never counted.
 */
export type Seed = readonly [number, number];

/** A keyed hash that answers in 32 bits, and has 32 more of the same input for whoever needs 64. */
export interface KeyedHash {
  /** Hashes a text by its UTF-16 units. @returns 0 to 2^32 − 1 */
  text(text: string): number;
  /** Hashes up to four 32-bit words. @returns 0 to 2^32 − 1 */
  words(words: ArrayLike<number>, count: number): number;
  /** 32 further bits of what was hashed last, 0 to 2^32 − 1. */
  high(): number;
}

/**
 * Makes the one hash that all sketches and tables of abuse prevention use.
 * @param seed - see {@link Seed}
 * Source: HalfSipHash-1-3 (Aumasson and Bernstein), as Linux uses it for hash tables; `high` continues its finalisation the way the
 * 64-bit output does.
 */
export function createKeyedHash([k0, k1]: Seed): KeyedHash {
  let v0 = 0;
  let v1 = 0;
  let v2 = 0;
  let v3 = 0;

  const begin = (): void => {
    v0 = k0 | 0;
    v1 = k1 | 0;
    v2 = 0x6c796765 ^ k0;
    v3 = 0x74656462 ^ k1;
  };
  const round = (): void => {
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
  };
  const absorb = (word: number): void => {
    v3 ^= word;
    round();
    v0 ^= word;
  };
  const end = (): number => {
    v2 ^= 0xff;
    round();
    round();
    round();
    return (v1 ^ v3) >>> 0;
  };

  return {
    text(text) {
      begin();
      const { length } = text;
      const pairs = length & ~1;
      for (let at = 0; at < pairs; at += 2) absorb(text.charCodeAt(at) | (text.charCodeAt(at + 1) << 16));
      // The length in bytes and what is left of the text share the last word, as in the original.
      absorb(((length * 2) << 24) | (length > pairs ? text.charCodeAt(pairs) : 0));
      return end();
    },
    words(words, count) {
      begin();
      for (let at = 0; at < count; at++) absorb(words[at] as number);
      absorb((count * 4) << 24);
      return end();
    },
    high() {
      v1 ^= 0xdd;
      round();
      round();
      round();
      return (v1 ^ v3) >>> 0;
    },
  };
}
