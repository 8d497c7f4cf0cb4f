const REPLACEMENT = '\uFFFD';
/** A character is at most 4 bytes, and a byte-level token holds at least one: after these many tokens it is not coming. */
const HELD_TOKENS_MAX = 4;
/** Enough of what went before for tokenizers that decide a leading space by it. */
const HISTORY_TOKENS = 4;

export interface TextStream {
  /** Takes the next token and returns the text that is complete. */
  push(token: number): string;
}

/**
 * Turns tokens into text that is valid at every cut: the bytes of one character may be spread over several tokens, and decoding
 * gives a replacement character for those that have come so far, so a piece that ends in one is held back until the rest is there.
 * A character whose rest never comes (the answer ended inside it) is never shown.
 * @param decode - the text of some tokens, given those just before them
 */
export function createTextStream(decode: (tokens: readonly number[], before: readonly number[]) => string): TextStream {
  let before: readonly number[] = [];
  let held: number[] = [];
  return {
    push(token) {
      held.push(token);
      const text = decode(held, before);
      if (text.endsWith(REPLACEMENT) && held.length < HELD_TOKENS_MAX) return '';
      before = [...before, ...held].slice(-HISTORY_TOKENS);
      held = [];
      return text;
    },
  };
}
