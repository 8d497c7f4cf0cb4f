import { cusum } from './cusum.ts';

/** How much is watched, and how often it may cry wolf. */
export interface Watch {
  /** Series tested side by side, 1 or more. */
  readonly keys: number;
  /** Tests of each series a day: 1,440 when every minute is one. */
  readonly testsPerDay: number;
  /** False alarms a day that reviewers can bear, over all series together. */
  readonly falseAlarmsPerDay: number;
}

/** k: a shift of one standard deviation is what the CUSUM is tuned for. */
export const ALLOWANCE = 0.5;
/** What a discrete CUSUM overshoots its threshold by, on average. Source: Siegmund 1985. */
const OVERSHOOT = 1.166;

/**
 * The CUSUM threshold h at which so many series, tested so often, raise so few false alarms.
 * @param allowance - k, above 0
 * @returns h in standard deviations, 0 or more. It holds for independent normal values with a known mean; for heavy tails use
 *   {@link calibrateThreshold}
 * Source: Siegmund's approximation, ARL0 ≈ (e^{2kb} − 2kb − 1)/(2k²) with b = h + 1.166, solved for h.
 */
export function thresholdFor(watch: Watch, allowance: number = ALLOWANCE): number {
  return thresholdForRunLength((watch.keys * watch.testsPerDay) / watch.falseAlarmsPerDay, allowance);
}

/** @param runLength - ARL0: tests of one series from one false alarm to the next, on average */
export function thresholdForRunLength(runLength: number, allowance: number = ALLOWANCE): number {
  const excess = 2 * allowance ** 2 * runLength;
  // e^x − x − 1 = excess by Newton's method, from a start that is too high, so it only ever falls.
  let x = Math.min(Math.sqrt(2 * excess), 2 * Math.log1p(excess) + 2);
  for (let step = 0; step < 100; step++) {
    const next = x - (Math.expm1(x) - x - excess) / Math.expm1(x);
    if (!(next < x)) break;
    x = next;
  }
  return Math.max(0, x / (2 * allowance) - OVERSHOOT);
}

/** The mean run length to a false alarm of a threshold: what {@link thresholdForRunLength} inverts. */
export function runLengthFor(threshold: number, allowance: number = ALLOWANCE): number {
  const x = 2 * allowance * (threshold + OVERSHOOT);
  return (Math.expm1(x) - x) / (2 * allowance ** 2);
}

export type Calibration =
  | { readonly kind: 'calibrated'; readonly threshold: number; readonly alarmsInHistory: number }
  /** The history is too short to tell: so many more tests are needed. */
  | { readonly kind: 'unmeasured'; readonly testsNeeded: number };

/** False alarms that a history must have room for, so that its rate is more than one lucky series. */
const ALARMS_FOR_CALIBRATION = 5;

/**
 * A threshold from quiet history instead of a normal table, for series whose tails are heavy. It promises nothing beyond what the
 * history shows, so it does not answer when the wanted rate is rarer than the history could have shown five times.
 * @param history - standardised values in order, of any number of series, in which nothing was wrong
 * @returns the lowest threshold at which this history would have raised no more false alarms than wanted
 */
export function calibrateThreshold(
  history: readonly (readonly number[])[],
  watch: Watch,
  allowance: number = ALLOWANCE,
): Calibration {
  const tests = history.reduce((sum, series) => sum + series.length, 0);
  const runLength = (watch.keys * watch.testsPerDay) / watch.falseAlarmsPerDay;
  const allowed = Math.floor(tests / runLength);
  if (allowed < ALARMS_FOR_CALIBRATION)
    return { kind: 'unmeasured', testsNeeded: Math.ceil(ALARMS_FOR_CALIBRATION * runLength) - tests };
  // An alarm restarts the sum, so the number of alarms falls as the threshold rises, up to ties: halve the interval.
  let [low, high] = [0, highestSum(history, allowance)];
  for (let step = 0; step < 50; step++) {
    const middle = (low + high) / 2;
    if (countAlarms(history, middle, allowance) > allowed) low = middle;
    else high = middle;
  }
  return { kind: 'calibrated', threshold: high, alarmsInHistory: countAlarms(history, high, allowance) };
}

function countAlarms(history: readonly (readonly number[])[], threshold: number, allowance: number): number {
  let alarms = 0;
  for (const series of history) {
    let sum = 0;
    for (const z of series) {
      sum = cusum(sum, z, allowance);
      if (sum <= threshold) continue;
      alarms++;
      sum = 0;
    }
  }
  return alarms;
}

function highestSum(history: readonly (readonly number[])[], allowance: number): number {
  let highest = 0;
  for (const series of history) {
    let sum = 0;
    for (const z of series) {
      sum = cusum(sum, z, allowance);
      highest = Math.max(highest, sum);
    }
  }
  return highest;
}
