/** The bytes of one body, gathered as they come. */
export interface Gathering {
  add(chunk: Buffer): void;
  /** Everything so far, in one piece. */
  whole(): Buffer;
}

/**
 * A body that comes in one piece is never copied; one that comes in many is copied into a buffer that doubles. A list of the pieces
 * would cost a hundred times a body's size when a client sends it byte by byte.
 * @param declaredBytes - the body's length where the client said it: never more is set aside than that
 */
export function gatherBody(declaredBytes: number | null): Gathering {
  let bytes: Buffer = Buffer.alloc(0);
  let length = 0;
  return {
    add(chunk) {
      const needed = length + chunk.length;
      if (length === 0) bytes = chunk;
      else {
        if (needed > bytes.length) {
          const larger = Buffer.allocUnsafeSlow(Math.max(needed, Math.min(needed * 2, declaredBytes ?? Infinity)));
          bytes.copy(larger, 0, 0, length);
          bytes = larger;
        }
        chunk.copy(bytes, length);
      }
      length = needed;
    },
    whole: () => bytes.subarray(0, length),
  };
}
