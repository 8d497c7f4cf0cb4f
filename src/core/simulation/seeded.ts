/** Draws uniform numbers in [0, 1), always the same ones for the same seed. */
export type Draw = () => number;

/**
 * A small seeded generator: good enough to vary text and to draw rates, never for secrets.
 * @param seed - any integer; its low 32 bits count
 * Source: mulberry32 (Tommy Ettinger, public domain).
 */
export function createDraw(seed: number): Draw {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** One of `items`, which must not be empty, by the next draw. */
export function pick<T>(draw: Draw, items: readonly [T, ...T[]]): T {
  return items[Math.floor(draw() * items.length)] ?? items[0];
}
