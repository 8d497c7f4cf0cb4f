const FIRST_MS = 250;
const MOST_MS = 30_000;
/** A process that served this long was not started in vain: the next crash counts as the first again. */
const PROVEN_MS = 60_000;

/** How often the process ended soon after its start, up to now. */
export interface CrashCount {
  readonly inARow: number;
}

/** @param readyForMs - how long the process had been ready when it ended; 0 when it never was */
export function countCrash(before: CrashCount, readyForMs: number): CrashCount {
  return { inARow: readyForMs >= PROVEN_MS ? 1 : before.inARow + 1 };
}

/** How long to wait before the next start: 250 ms after the first crash, doubled for each one after it, at most 30 s. */
export function restartDelayMs({ inARow }: CrashCount): number {
  return Math.min(MOST_MS, FIRST_MS * 2 ** Math.max(0, inARow - 1));
}
