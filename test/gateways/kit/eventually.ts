/** Asks until it is so, and fails by name after `boundMs`. @returns how long it took, ms */
export async function eventually(isSo: () => Promise<boolean> | boolean, what: string, boundMs: number): Promise<number> {
  const start = performance.now();
  while (!(await isSo())) {
    if (performance.now() - start > boundMs) throw new Error(`not within ${boundMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return performance.now() - start;
}
