import { randomFillSync } from 'node:crypto';
import type { Random } from '#contracts/clock';

/** Bytes drawn from the system at once: a call for twelve costs as much as one for four thousand. */
const POOL_BYTES = 4096;

/** The machine's own chance. */
export function createSystemRandom(): Random {
  const pool = Buffer.alloc(POOL_BYTES);
  let used = POOL_BYTES;
  return {
    next: Math.random,
    hex(count) {
      if (used + count > POOL_BYTES) {
        randomFillSync(pool);
        used = 0;
      }
      used += count;
      return pool.toString('hex', used - count, used);
    },
  };
}
