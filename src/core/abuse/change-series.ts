import { cusum } from './cusum.ts';
import { ewma } from './ewma.ts';
import { ALLOWANCE } from './false-alarms.ts';

/** Numbers that one series takes in its owner's array, all zero when new: mean, variance, CUSUM, observations. */
export const SERIES_FLOATS = 4;
const [MEAN, VARIANCE, SUM, COUNT] = [0, 1, 2, 3];

/** Observations before anything can be told: the baseline is not known well enough until then. */
export const WARM_UP = 60;
/** λ of the baseline: it follows the last 250 or so observations. */
const WEIGHT = 1 / 128;
/**
 * What one observation counts for at most, in standard deviations, in the baseline and in the CUSUM: heavy tails would otherwise
 * raise alarms by single spikes (200 a day where 1 is wanted, for log-normal minutes; so 5), and an attack is a few minutes more.
 */
const CLIP = 3;
/** Observations that are taken as they are, so that the baseline can find its place. */
const UNCLIPPED = 10;
/** A CUSUM stops here, so that it also comes down again: above any threshold that a run length of 1e13 needs. */
const SUM_MAX = 60;

/**
 * Takes one observation into a series: first against the baseline as it was, then into it. The baseline is a robust EWMA, so it
 * follows a lasting change slowly and a spike hardly at all; and what is not known of it is allowed for, by its own standard error.
 * @param value - standardised so that its spread hardly depends on its mean (`anscombe` of a count, the log of an amount)
 * @param sigmaMin - the least spread that chance alone gives; 1 for `anscombe`
 */
export function observeChange(floats: Float64Array, at: number, value: number, sigmaMin: number): void {
  const count = floats[at + COUNT] as number;
  const mean = floats[at + MEAN] as number;
  const variance = floats[at + VARIANCE] as number;
  const sigma = Math.max(sigmaMin, Math.sqrt(variance));
  const raw = count === 0 ? 0 : (value - mean) / sigma;
  const z = count < UNCLIPPED ? raw : Math.min(CLIP, Math.max(-CLIP, raw));
  if (count >= WARM_UP) {
    const known = Math.min(count, 2 / WEIGHT - 1);
    const sum = cusum(floats[at + SUM] as number, z, ALLOWANCE + 1 / Math.sqrt(known));
    floats[at + SUM] = Math.min(SUM_MAX, sum);
  }
  const weight = Math.max(1 / (count + 1), WEIGHT);
  const step = z * sigma;
  floats[at + MEAN] = count === 0 ? value : ewma(mean, mean + step, weight);
  floats[at + VARIANCE] = count === 0 ? 0 : (1 - weight) * (variance + weight * step * step);
  floats[at + COUNT] = count + 1;
}

/** Lets time without observations pass: nothing is learnt of it, and the CUSUM comes down by its allowance for each. */
export function restChange(floats: Float64Array, at: number, observations: number): void {
  floats[at + SUM] = Math.max(0, (floats[at + SUM] as number) - observations * ALLOWANCE);
}

/** @returns the CUSUM, or null before {@link WARM_UP} observations */
export function changeOf(floats: Float64Array, at: number): number | null {
  return (floats[at + COUNT] as number) < WARM_UP ? null : (floats[at + SUM] as number);
}

/** The baseline and one standard error of it, in the unit of the observations; null before {@link WARM_UP} observations. */
export function baselineOf(
  floats: Float64Array,
  at: number,
  sigmaMin: number,
): { readonly mean: number; readonly standardError: number } | null {
  const count = floats[at + COUNT] as number;
  if (count < WARM_UP) return null;
  const sigma = Math.max(sigmaMin, Math.sqrt(floats[at + VARIANCE] as number));
  return { mean: floats[at + MEAN] as number, standardError: sigma / Math.sqrt(Math.min(count, 2 / WEIGHT - 1)) };
}
