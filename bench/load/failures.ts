import type { FailureCounts } from './order.ts';

/** Failures while they are counted. */
export type FailureTally = { -readonly [K in keyof FailureCounts]: number };

export function createFailureTally(): FailureTally {
  return { badStatus: 0, cutShort: 0, socket: 0, stuck: 0 };
}

export function failuresOf(counts: FailureCounts): number {
  return counts.badStatus + counts.cutShort + counts.socket + counts.stuck;
}
