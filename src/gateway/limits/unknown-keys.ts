import type { Clock } from '#contracts/clock';
import { refusal, type Refusal } from '#contracts/errors';
import { compileRate, createMeterBook, newDecisionSlot, type Scope, type SubjectHash } from '#core/limits';
import { addressBlock } from '../address-block.ts';

/** Requests with keys that nobody has, counted by address: guessing keys is slow, and costs nobody else anything. */
export interface UnknownKeys {
  /** Counts one more from an address. @returns null while the address may go on, else what it is told */
  count(address: string): Refusal | null;
  readonly refused: () => number;
}

/** Address blocks that are followed; those beyond share one meter. */
const BLOCKS_MAX = 100_000;
const SCOPE: Scope = {
  index: 0,
  id: 'address',
  rules: [
    {
      id: 'unknown-keys',
      measure: 'requests',
      output: 'metered',
      cacheReadWeight: 0,
      hardStop: false,
      whenAway: 'local_share',
      isLeased: false,
      isDryRun: false,
      isMetered: false,
    },
  ],
};

/**
 * Kept by each gateway for itself, in fixed memory, before any tenant is known. Callers with a key of ours never meet it, so
 * nobody is locked out by what others do from the same address.
 */
export function createUnknownKeys(options: {
  readonly perMinute: number;
  readonly clock: Clock;
  readonly hash: SubjectHash;
}): UnknownKeys {
  const { perMinute, clock, hash } = options;
  const rate = compileRate({ kind: 'rate', limit: perMinute, windowUs: 60_000_000, burst: perMinute });
  const rates = rate.ok ? [rate.value] : [];
  const book = createMeterBook({ subjectsMax: BLOCKS_MAX });
  const slot = newDecisionSlot(rates.length);
  const costs = Float64Array.of(1).subarray(0, rates.length);
  let refused = 0;
  return {
    refused: () => refused,
    count(address) {
      const subject = addressBlock(address);
      const hashLow = hash.text(subject);
      const group = { scope: SCOPE, tenant: '-', subject, hashHigh: hash.high(), hashLow, rates };
      book.take({ groups: [group], costs }, clock.nowUs(), clock.wallMs(), slot);
      if (slot.refusedBy === -1) return null;
      refused++;
      return refusal('rate_limited', 'Too many requests with keys that are not known, from this address', {
        retryAfterMs: Math.ceil(slot.waitUs / 1000),
      });
    },
  };
}
