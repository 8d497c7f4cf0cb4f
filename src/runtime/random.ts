import { randomBytes } from 'node:crypto';
import type { Random } from '#contracts/clock';

/** The machine's own chance. */
export function createSystemRandom(): Random {
  return { next: Math.random, hex: (count) => randomBytes(count).toString('hex') };
}
