/** Whole milliseconds since it was started. */
export function startStopwatch(): () => number {
  const start = performance.now();
  return () => Math.round(performance.now() - start);
}

const POLL_MS = 4;

/** Waits until `condition` answers something other than null or false, at most `boundMs`; null when it never did. */
export async function until<T>(condition: () => T | Promise<T>, boundMs: number): Promise<Exclude<T, null | false> | null> {
  const elapsed = startStopwatch();
  for (;;) {
    const answer = await condition();
    if (answer !== null && answer !== false) return answer as Exclude<T, null | false>;
    if (elapsed() > boundMs) return null;
    await pause(POLL_MS);
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The middle of some numbers, 0 for none. */
export const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

/** Runs `task` for each item, at most `width` at a time. */
export async function each<T, R>(items: readonly T[], width: number, task: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const queue = items.entries();
  const work = async (): Promise<void> => {
    for (const [index, item] of queue) results[index] = await task(item);
  };
  await Promise.all(Array.from({ length: width }, work));
  return results;
}
