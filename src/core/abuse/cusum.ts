/** Brings the spread of a Poisson count near 1, whatever its mean. Source: Anscombe 1948. */
export const anscombe = (count: number): number => 2 * Math.sqrt(count + 3 / 8);

/** The count whose {@link anscombe} is `value`, 0 or more. */
export const countOfAnscombe = (value: number): number => Math.max(0, (value / 2) ** 2 - 3 / 8);

/**
 * One step of a one-sided upper CUSUM: how far the series has run above its baseline, less what chance is allowed.
 * @param sum - of the step before, 0 at the start
 * @param z - the new observation in standard deviations from the baseline
 * @param allowance - k, half the shift sought, in standard deviations
 * @returns the new sum; an alarm is a sum above the threshold h
 * Source: Page 1954.
 */
export function cusum(sum: number, z: number, allowance: number): number {
  return Math.max(0, sum + z - allowance);
}
