/**
 * The candidate closest to what was typed, for "did you mean": fewest single-character edits, and null when
 * even that is more than a third of the word.
 */
export function nearest(typed: string, candidates: readonly string[]): string | null {
  let best: string | null = null;
  let bestEdits = Infinity;
  for (const candidate of candidates) {
    const edits = editDistance(typed.toLowerCase(), candidate.toLowerCase());
    if (edits < bestEdits) [best, bestEdits] = [candidate, edits];
  }
  return bestEdits <= Math.max(1, Math.floor(typed.length / 3)) ? best : null;
}

/** Optimal string alignment: insert, delete, replace, or swap two neighbors, each one edit. */
function editDistance(from: string, to: string): number {
  const rows: number[][] = [Array.from({ length: to.length + 1 }, (_, index) => index)];
  const at = (i: number, j: number): number => rows[i]?.[j] ?? Infinity;
  for (let i = 1; i <= from.length; i++) {
    rows.push([i]);
    for (let j = 1; j <= to.length; j++) {
      const isSame = from[i - 1] === to[j - 1];
      const isSwap = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      const edits = Math.min(at(i - 1, j - 1) + (isSame ? 0 : 1), at(i - 1, j) + 1, at(i, j - 1) + 1);
      rows[i]?.push(isSwap ? Math.min(edits, at(i - 2, j - 2) + 1) : edits);
    }
  }
  return at(from.length, to.length);
}
