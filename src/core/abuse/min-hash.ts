import type { KeyedHash } from './keyed-hash.ts';

/** Hash functions in a signature, and words of memory it takes: eight bits of each minimum are kept, four to a word. */
const FUNCTIONS = 64;
export const SIGNATURE_WORDS = FUNCTIONS / 4;
/** Two minima that differ have the same eight bits this often. */
const CHANCE = 1 / 256;
const SHINGLE_WORDS = 3;
/** Only the beginning of a text is looked at: templates begin alike, and a request's cost has a bound. */
const TEXT_WORDS_MAX = 128;
const TEXT_CHARACTERS_MAX = 2_048;

/**
 * Turns a text into 64 bytes from which similar texts can be told and the text cannot be read: each byte is a piece of the least
 * keyed hash over all its shingles. Whoever has the seed can still test a guess of a whole text, so signatures are kept like ids.
 */
export interface TextSketcher {
  /**
   * @param text - what the client wrote; letters and digits of its first 128 words count, case does not, and numbers are all alike
   * @returns 16 words, or null for a text of fewer than three words, of which nothing could be told
   */
  signature(text: string): Uint32Array | null;
}

/** How alike two texts are: the share of their three-word shingles that they have in common, and one standard error of it. */
export interface Similarity {
  readonly ratio: number;
  readonly standardErrorRatio: number;
}

/**
 * @param hash - keyed; its seed decides the functions too
 * Source: Broder 1997; eight bits of each minimum after Li and König 2010.
 */
export function createTextSketcher(hash: KeyedHash): TextSketcher {
  const factors = new Uint32Array(FUNCTIONS);
  const terms = new Uint32Array(FUNCTIONS);
  for (let at = 0; at < FUNCTIONS; at++) {
    factors[at] = hash.words([at], 1) | 1;
    terms[at] = hash.high();
  }
  const minima = new Uint32Array(FUNCTIONS);

  return {
    signature(text) {
      minima.fill(0xffff_ffff);
      let [first, second, words] = [0, 0, 0];
      for (const word of wordsOf(text)) {
        const third = hash.text(word);
        if (++words >= SHINGLE_WORDS) {
          // Order counts: "a b c" is not "c b a".
          const shingle = mix((Math.imul(first, 0x9e3779b1) ^ Math.imul(second, 0x85ebca77) ^ third) >>> 0);
          for (let at = 0; at < FUNCTIONS; at++) {
            const value = (Math.imul(shingle, factors[at] as number) + (terms[at] as number)) >>> 0;
            if (value < (minima[at] as number)) minima[at] = value;
          }
        }
        [first, second] = [second, third];
      }
      return words < SHINGLE_WORDS ? null : pack(minima);
    },
  };
}

/**
 * How alike the texts of two signatures are.
 * @returns 0 to 1, with standard error √(P(1−P)/64) / (1 − 1/256), where P is the share of equal bytes
 */
export function similarity(a: ArrayLike<number>, b: ArrayLike<number>): Similarity {
  let equal = 0;
  for (let word = 0; word < SIGNATURE_WORDS; word++) equal += equalBytes((a[word] as number) ^ (b[word] as number));
  const share = equal / FUNCTIONS;
  return {
    ratio: Math.max(0, (share - CHANCE) / (1 - CHANCE)),
    standardErrorRatio: Math.sqrt((share * (1 - share)) / FUNCTIONS) / (1 - CHANCE),
  };
}

/** Of 64 bytes, how many must be equal for a similarity of `ratio`. */
export function equalBytesFor(ratio: number): number {
  return Math.ceil((ratio * (1 - CHANCE) + CHANCE) * FUNCTIONS);
}

/** How many of the four bytes of a word are zero. */
export function equalBytes(difference: number): number {
  let bits = difference | (difference >>> 4);
  bits |= bits >>> 2;
  bits |= bits >>> 1;
  bits &= 0x0101_0101;
  return 4 - (Math.imul(bits, 0x0101_0101) >>> 24);
}

/** Letters and digits, lower case; a run of digits becomes one `0`, since numbers are what a template fills in. */
function wordsOf(text: string): readonly string[] {
  const words =
    text
      .slice(0, TEXT_CHARACTERS_MAX)
      .toLowerCase()
      .match(/\p{L}+|\p{N}+/gu) ?? [];
  return words.slice(0, TEXT_WORDS_MAX).map((word) => (/^\p{N}/u.test(word) ? '0' : word));
}

function pack(minima: Uint32Array): Uint32Array {
  const signature = new Uint32Array(SIGNATURE_WORDS);
  for (let at = 0; at < FUNCTIONS; at++) {
    const word = at >>> 2;
    // Mixed again: the low bits of a small minimum are all that is left of it, and its high bits are zero.
    signature[word] = (signature[word] as number) | ((mix(minima[at] as number) & 0xff) << ((at & 3) * 8));
  }
  return signature;
}

/** Spreads every bit over all others (MurmurHash3's finaliser, public domain). */
function mix(word: number): number {
  let mixed = word;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
