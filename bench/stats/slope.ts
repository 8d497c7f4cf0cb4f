/** A straight line through samples over time, and how sure its slope is. */
export interface Slope {
  readonly perMinute: number;
  /** Bounds of a 95 % confidence interval, widened for the likeness of neighboring samples. */
  readonly low: number;
  readonly high: number;
  readonly samples: number;
}

/** Below this many samples nothing is said about a slope. */
const SAMPLES_MIN = 10;

/**
 * Fits a line by least squares. Memory sampled each few seconds is no set of independent draws: a heap that grew stays grown until
 * the next collection, so the plain standard error is too small. It is widened by √((1+ρ)/(1−ρ)), ρ the correlation of neighboring
 * residuals (0 when negative), as for a first-order autoregressive noise.
 * @param samples - times in minutes and values, in any unit
 * @returns null for fewer than ten samples, or when all were taken at one time
 */
export function fitSlope(samples: readonly { readonly minute: number; readonly value: number }[]): Slope | null {
  const count = samples.length;
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const meanMinute = mean(samples.map(({ minute }) => minute));
  const meanValue = mean(samples.map(({ value }) => value));
  const spread = samples.reduce((sum, { minute }) => sum + (minute - meanMinute) ** 2, 0);
  if (count < SAMPLES_MIN || spread === 0) return null;
  const product = samples.reduce((sum, { minute, value }) => sum + (minute - meanMinute) * (value - meanValue), 0);
  const perMinute = product / spread;
  const residuals = samples.map(({ minute, value }) => value - meanValue - perMinute * (minute - meanMinute));
  const squares = residuals.reduce((sum, residual) => sum + residual ** 2, 0);
  const neighbors = residuals.slice(1).reduce((sum, residual, index) => sum + residual * (residuals[index] ?? 0), 0);
  const likeness = squares === 0 ? 0 : Math.min(0.98, Math.max(0, neighbors / squares));
  const widening = Math.sqrt((1 + likeness) / (1 - likeness));
  const standardError = Math.sqrt(squares / (count - 2) / spread) * widening;
  // As many degrees of freedom as there are independent samples' worth of noise.
  const freedom = Math.max(2, count / widening ** 2 - 2);
  const half = studentT95(freedom) * standardError;
  return { perMinute, low: perMinute - half, high: perMinute + half, samples: count };
}

/** The two-sided 95 % quantile of Student's t by the expansion of Cornish and Fisher; within 1 % from 3 degrees of freedom on. */
function studentT95(freedom: number): number {
  const z = 1.959964;
  const first = (z ** 3 + z) / 4;
  const second = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96;
  const third = (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384;
  return z + first / freedom + second / freedom ** 2 + third / freedom ** 3;
}

/** What a run of a given length can say about growth. */
export type GrowthVerdict = 'flat' | 'growing' | 'could not tell';

/** @param tolerancePerMinute - growth a minute below which memory is called flat, in the samples' unit */
export function judgeGrowth(slope: Slope | null, tolerancePerMinute: number): GrowthVerdict {
  if (slope === null) return 'could not tell';
  if (slope.high <= tolerancePerMinute) return 'flat';
  return slope.low > 0 ? 'growing' : 'could not tell';
}
