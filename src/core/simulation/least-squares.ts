/** Measured points: what each term of the sum was, and what was measured. */
export interface Observation {
  readonly terms: readonly number[];
  /** Above 0. */
  readonly measured: number;
}

/** How far a fit is from what was measured: |predicted − measured| ÷ measured. */
export interface FitError {
  readonly points: number;
  readonly medianRatio: number;
  readonly p90Ratio: number;
}

/**
 * Weights, none below 0, whose weighted sum of terms is nearest to what was measured, in relative error: the least mean of
 * squares of (predicted − measured) ÷ measured. Exact for the few terms that a profile has: every subset of terms is solved and
 * the best that has no negative weight wins, so a term that the data deny gets 0 instead of a sign that makes no sense.
 * @param observations - at least as many as there are terms; each with the same number of terms, at most 8
 */
export function fitNonNegative(observations: readonly Observation[]): readonly number[] {
  const size = observations[0]?.terms.length ?? 0;
  let best = Array.from({ length: size }, () => 0);
  let bestLoss = Number.POSITIVE_INFINITY;
  for (let subset = 1; subset < 1 << size; subset += 1) {
    const chosen = best.map((_, index) => index).filter((index) => (subset >> index) & 1);
    const solved = solve(observations, chosen);
    if (solved === null || solved.some((weight) => weight < 0)) continue;
    const weights = best.map((_, index) => (chosen.includes(index) ? (solved[chosen.indexOf(index)] ?? 0) : 0));
    const loss = observations.reduce((sum, one) => sum + (predict(weights, one.terms) / one.measured - 1) ** 2, 0);
    if (loss < bestLoss) {
      best = weights;
      bestLoss = loss;
    }
  }
  return best;
}

/** The sum of `terms`, each by its weight. */
export function predict(weights: readonly number[], terms: readonly number[]): number {
  return terms.reduce((sum, term, index) => sum + term * (weights[index] ?? 0), 0);
}

/**
 * Median and 90th percentile (nearest rank) of the relative errors, to the thousandth.
 * @param pairs - at least one, `measured` above 0
 */
export function fitError(pairs: readonly { readonly predicted: number; readonly measured: number }[]): FitError {
  const errors = pairs.map(({ predicted, measured }) => Math.abs(predicted - measured) / measured).toSorted((a, b) => a - b);
  const at = (ratio: number): number => errors[Math.max(0, Math.ceil(ratio * errors.length) - 1)] ?? 0;
  return { points: errors.length, medianRatio: toThousandths(at(0.5)), p90Ratio: toThousandths(at(0.9)) };
}

/** As precise as such an error is worth saying. */
function toThousandths(ratio: number): number {
  return Math.round(ratio * 1000) / 1000;
}

/** The normal equations of the chosen terms, by elimination with pivoting; null when they do not decide. */
function solve(observations: readonly Observation[], chosen: readonly number[]): number[] | null {
  const rows = chosen.map((i) => [
    ...chosen.map((j) =>
      observations.reduce((sum, { terms, measured }) => sum + ((terms[i] ?? 0) * (terms[j] ?? 0)) / measured ** 2, 0),
    ),
    observations.reduce((sum, { terms, measured }) => sum + (terms[i] ?? 0) / measured, 0),
  ]);
  const size = chosen.length;
  const cell = (row: number, column: number): number => rows[row]?.[column] ?? 0;
  for (let column = 0; column < size; column += 1) {
    let pivot = column;
    for (let row = column + 1; row < size; row += 1) if (Math.abs(cell(row, column)) > Math.abs(cell(pivot, column))) pivot = row;
    const top = rows[pivot];
    const scale = top?.[column] ?? 0;
    if (top === undefined || Math.abs(scale) < 1e-300) return null;
    rows[pivot] = rows[column] ?? top;
    rows[column] = top.map((value) => value / scale);
    for (let row = 0; row < size; row += 1)
      if (row !== column) {
        const factor = cell(row, column);
        rows[row] = (rows[row] ?? []).map((value, index) => value - factor * cell(column, index));
      }
  }
  return rows.map((row) => row[size] ?? 0);
}
