import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createDraw, type Draw } from '../simulation/seeded.ts';
import { anscombe, countOfAnscombe, cusum } from './cusum.ts';
import { ewma, ewmaLimit } from './ewma.ts';
import { ALLOWANCE, calibrateThreshold, runLengthFor, thresholdFor, thresholdForRunLength } from './false-alarms.ts';

const normal = (draw: Draw): number => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());

/** Mean run length over `runs` seeded runs, and the standard error of that mean. */
function meanRunLength(runs: number, run: (draw: Draw) => number): { mean: number; standardError: number } {
  const draw = createDraw(20_260_101);
  const lengths = Array.from({ length: runs }, () => run(draw));
  const mean = lengths.reduce((sum, length) => sum + length, 0) / runs;
  const variance = lengths.reduce((sum, length) => sum + (length - mean) ** 2, 0) / (runs - 1);
  return { mean, standardError: Math.sqrt(variance / runs) };
}

function cusumRun(
  draw: Draw,
  { k, h, shift, isTwoSided, start }: { k: number; h: number; shift: number; isTwoSided: boolean; start: number },
): number {
  let [upper, lower] = [start, isTwoSided ? start : 0];
  for (let step = 1; ; step++) {
    const z = normal(draw) + shift;
    upper = cusum(upper, z, k);
    if (isTwoSided) lower = cusum(lower, -z, k);
    if (upper > h || lower > h) return step;
  }
}

// Simulated against the integral equation: up to 400,000 normal draws a row, some 20 ms.
test.each([
  { k: 0.5, h: 4, shift: 0, isTwoSided: false, expected: 335.4, runs: 800 },
  { k: 0.5, h: 5, shift: 0, isTwoSided: false, expected: 930.9, runs: 400 },
  { k: 0.5, h: 4, shift: 0, isTwoSided: true, expected: 167.68, runs: 1_000 },
  { k: 0.5, h: 4, shift: 0.5, isTwoSided: true, expected: 26.63, runs: 3_000 },
  { k: 0.5, h: 4, shift: 1, isTwoSided: true, expected: 8.38, runs: 5_000 },
  { k: 0.5, h: 4, shift: 3, isTwoSided: true, expected: 2.19, runs: 5_000 },
  { k: 0.5, h: 5, shift: 1, isTwoSided: true, expected: 10.38, runs: 5_000 },
  { k: 0.5, h: 5, shift: 2, isTwoSided: true, expected: 4.01, runs: 5_000 },
  { k: 0.5, h: 8, shift: 1, isTwoSided: true, expected: 16.37, runs: 4_000 },
  { k: 0.25, h: 8.01, shift: 0.5, isTwoSided: true, expected: 28.8, runs: 3_000 },
  { k: 0.5, h: 5, shift: 1, isTwoSided: false, expected: 6.35, runs: 5_000, start: 2.5 },
])(
  'a CUSUM of k $k, h $h runs $expected steps at a shift of $shift, as the tables say',
  ({ expected, runs, start = 0, ...chart }) => {
    const { mean, standardError } = meanRunLength(runs, (draw) => cusumRun(draw, { ...chart, start }));
    expect(Math.abs(mean - expected)).toBeLessThan(4 * standardError + 0.005);
  },
);

test.each([
  { weight: 0.1, width: 2.814, shift: 0, expected: 499.6, runs: 500 },
  { weight: 0.1, width: 2.814, shift: 1, expected: 10.33, runs: 4_000 },
  { weight: 0.2, width: 2.962, shift: 0.5, expected: 41.76, runs: 2_500 },
  { weight: 0.4, width: 3.054, shift: 2, expected: 3.52, runs: 5_000 },
  { weight: 0.05, width: 2.615, shift: 1, expected: 11.38, runs: 4_000 },
])(
  'an EWMA of λ $weight, L $width runs $expected steps at a shift of $shift, as the tables say',
  ({ weight, width, shift, expected, runs }) => {
    const limit = ewmaLimit({ sigma: 1, weight, width });
    const { mean, standardError } = meanRunLength(runs, (draw) => {
      let value = 0;
      for (let step = 1; ; step++) {
        value = ewma(value, normal(draw) + shift, weight);
        if (Math.abs(value) > limit) return step;
      }
    });
    expect(Math.abs(mean - expected)).toBeLessThan(4 * standardError + 0.005);
  },
);

test.each([
  [1e3, 5.06],
  [1e4, 7.35],
  [1e6, 11.96],
  [1e8, 16.56],
  [1e9, 18.86],
])('a run length of %d needs the threshold %d of the planning table', (runLength, threshold) => {
  expect(thresholdForRunLength(runLength)).toBeCloseTo(threshold, 2);
});

test('a threshold grows with the number of keys tested, and its run length is the one asked for', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000_000 }),
      fc.integer({ min: 1, max: 1_440 }),
      fc.integer({ min: 1, max: 100 }),
      (keys, testsPerDay, alarms) => {
        const threshold = thresholdFor({ keys, testsPerDay, falseAlarmsPerDay: alarms });
        const wanted = (keys * testsPerDay) / alarms;
        if (threshold > 0) expect(runLengthFor(threshold) / wanted).toBeCloseTo(1, 6);
        expect(thresholdFor({ keys: keys * 10, testsPerDay, falseAlarmsPerDay: alarms })).toBeGreaterThanOrEqual(threshold);
      },
    ),
  );
  // A textbook h of 5 over 100,000 keys a minute would cry wolf 150,000 times a day.
  expect((100_000 * 1_440) / runLengthFor(5)).toBeGreaterThan(150_000);
  expect(thresholdFor({ keys: 100_000, testsPerDay: 1_440, falseAlarmsPerDay: 1 })).toBeCloseTo(16.93, 1);
});

test('the square root of a count undoes itself, and spreads Poisson counts by 1 whatever their mean', () => {
  for (const count of [0, 1, 7, 1_000]) expect(countOfAnscombe(anscombe(count))).toBeCloseTo(count, 9);
  const draw = createDraw(5);
  for (const mean of [4, 20, 60]) {
    const values = Array.from({ length: 4_000 }, () => anscombe(poisson(draw, mean)));
    const middle = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / values.length;
    expect(variance).toBeGreaterThan(0.9);
    expect(variance).toBeLessThan(1.1);
  }
});

function poisson(draw: Draw, mean: number): number {
  let [count, product] = [0, draw()];
  for (const floor = Math.exp(-mean); product > floor; count++) product *= draw();
  return count;
}

test('with heavy tails, a threshold calibrated on quiet history keeps its rate where the normal one does not', () => {
  const draw = createDraw(8);
  // Student's t with 3 degrees of freedom, scaled to a spread of 1.
  const heavy = (): number =>
    normal(draw) / Math.sqrt((normal(draw) ** 2 + normal(draw) ** 2 + normal(draw) ** 2) / 3) / Math.sqrt(3);
  const series = (): number[] => Array.from({ length: 40_000 }, heavy);
  const watch = { keys: 10, testsPerDay: 100, falseAlarmsPerDay: 0.5 };
  const calibration = calibrateThreshold([series()], watch, ALLOWANCE);
  if (calibration.kind !== 'calibrated') throw new Error('the history is long enough');
  const alarmsLater = alarms(series(), calibration.threshold);
  // 20 wanted in 40,000 tests; four standard errors of the two counts.
  expect(calibration.alarmsInHistory).toBeLessThanOrEqual(20);
  expect(alarmsLater).toBeLessThan(20 + 4 * Math.sqrt(40));
  expect(alarms(series(), thresholdFor(watch))).toBeGreaterThan(2 * 20);
});

test('a history too short for the wanted rate is unmeasured, and says how much more is needed', () => {
  const watch = { keys: 1_000, testsPerDay: 1_440, falseAlarmsPerDay: 1 };
  expect(calibrateThreshold([[0, 1, 2]], watch)).toEqual({ kind: 'unmeasured', testsNeeded: 5 * 1_440_000 - 3 });
});

function alarms(series: readonly number[], threshold: number): number {
  let [count, sum] = [0, 0];
  for (const z of series) {
    sum = cusum(sum, z, ALLOWANCE);
    if (sum > threshold) {
      count++;
      sum = 0;
    }
  }
  return count;
}
