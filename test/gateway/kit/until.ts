/** Waits for a condition, looking often, and fails by name after `boundMs`. @returns how long it took, in ms */
export async function until(condition: () => boolean, what: string, boundMs = 3_000): Promise<number> {
  const start = performance.now();
  while (!condition()) {
    if (performance.now() - start > boundMs) throw new Error(`not within ${boundMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return performance.now() - start;
}
