/** The values in ascending order, without those that could not be measured. */
export function sorted(values: readonly number[]): readonly number[] {
  return values.filter((value) => Number.isFinite(value)).sort((a, b) => a - b);
}

/** The middle value, or the mean of the two in the middle; NaN of nothing. */
export function median(values: readonly number[]): number {
  const ordered = sorted(values);
  const upper = ordered[Math.floor(ordered.length / 2)];
  const lower = ordered[Math.ceil(ordered.length / 2) - 1];
  return upper === undefined || lower === undefined ? Number.NaN : (upper + lower) / 2;
}
