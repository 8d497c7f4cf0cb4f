/**
 * One step of an exponentially weighted mean.
 * @param mean - of the step before
 * @param weight - λ of the new value, 0 to 1
 */
export function ewma(mean: number, value: number, weight: number): number {
  return mean + weight * (value - mean);
}

/**
 * How far an EWMA of independent values of spread `sigma` may stray from their mean before it is an alarm.
 * @param width - L, in standard deviations of the EWMA itself once it has settled
 * Source: Roberts 1959.
 */
export function ewmaLimit({
  sigma,
  weight,
  width,
}: {
  readonly sigma: number;
  readonly weight: number;
  readonly width: number;
}): number {
  return width * sigma * Math.sqrt(weight / (2 - weight));
}
