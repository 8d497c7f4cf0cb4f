import { expect, test } from 'vitest';
import { createDraw, type Draw } from '../simulation/seeded.ts';
import { baselineOf, changeOf, observeChange, restChange, SERIES_FLOATS, WARM_UP } from './change-series.ts';
import { anscombe, countOfAnscombe } from './cusum.ts';
import { thresholdFor } from './false-alarms.ts';

const normal = (draw: Draw): number => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());

function poisson(draw: Draw, mean: number): number {
  if (mean > 200) return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal(draw)));
  let [count, product] = [0, draw()];
  for (const floor = Math.exp(-mean); product > floor; count++) product *= draw();
  return count;
}

// 200 keys for a day of minutes: some 60 ms a row.
test.each([
  { traffic: 'Poisson', spread: 0 },
  { traffic: 'twice as rough', spread: 0.7 },
  { traffic: 'heavy-tailed (log-normal)', spread: 1 },
])('keys whose $traffic minutes do not change raise about the false alarms asked for', ({ spread }) => {
  const draw = createDraw(11);
  const keys = 200;
  const threshold = thresholdFor({ keys, testsPerDay: 1_440, falseAlarmsPerDay: 1 });
  let alarms = 0;
  for (let key = 0; key < keys; key++) {
    const series = new Float64Array(SERIES_FLOATS);
    const mean = Math.exp(Math.log(60) * draw());
    let isAbove = false;
    for (let minute = 0; minute < 1_440; minute++) {
      const count = poisson(draw, mean * Math.exp(spread * normal(draw) - spread ** 2 / 2));
      if (count > 0) observeChange(series, 0, anscombe(count), 1);
      const isAlarm = (changeOf(series, 0) ?? 0) > threshold;
      if (isAlarm && !isAbove) alarms++;
      isAbove = isAlarm;
    }
  }
  // One is wanted; four standard errors of a Poisson count of 1, and twice that for tails that no table knows.
  expect(alarms).toBeLessThanOrEqual(spread === 1 ? 10 : 5);
});

test('a rate that doubles is an alarm within a quarter of an hour, among 100,000 keys and one false alarm a day', () => {
  const draw = createDraw(12);
  const threshold = thresholdFor({ keys: 100_000, testsPerDay: 1_440, falseAlarmsPerDay: 1 });
  for (let run = 0; run < 20; run++) {
    const series = new Float64Array(SERIES_FLOATS);
    for (let minute = 0; minute < 300; minute++) observeChange(series, 0, anscombe(poisson(draw, 20)), 1);
    expect(changeOf(series, 0)!).toBeLessThan(threshold);
    for (let minute = 0; minute < 15; minute++) observeChange(series, 0, anscombe(poisson(draw, 40)), 1);
    expect(changeOf(series, 0)!).toBeGreaterThan(threshold);
  }
});

test('nothing can be told of a series before its baseline is known', () => {
  const series = new Float64Array(SERIES_FLOATS);
  for (let minute = 0; minute < WARM_UP; minute++) {
    expect(changeOf(series, 0)).toBeNull();
    expect(baselineOf(series, 0, 1)).toBeNull();
    observeChange(series, 0, anscombe(9), 1);
  }
  expect(changeOf(series, 0)).toBe(0);
  expect(countOfAnscombe(baselineOf(series, 0, 1)!.mean)).toBeCloseTo(9, 6);
});

test('one spike, however high, moves neither the baseline nor the alarm far', () => {
  const series = new Float64Array(SERIES_FLOATS);
  for (let minute = 0; minute < 200; minute++) observeChange(series, 0, anscombe(9), 1);
  observeChange(series, 0, anscombe(1_000_000), 1);
  expect(changeOf(series, 0)!).toBeLessThan(3);
  expect(countOfAnscombe(baselineOf(series, 0, 1)!.mean)).toBeLessThan(9.2);
});

test('a lasting change becomes the baseline, and rest quiets the alarm', () => {
  const series = new Float64Array(SERIES_FLOATS);
  for (let minute = 0; minute < 200; minute++) observeChange(series, 0, anscombe(9), 1);
  for (let minute = 0; minute < 3_000; minute++) observeChange(series, 0, anscombe(36), 1);
  expect(countOfAnscombe(baselineOf(series, 0, 1)!.mean)).toBeGreaterThan(34);
  observeChange(series, 0, anscombe(100_000), 1);
  restChange(series, 0, 1_000);
  expect(changeOf(series, 0)).toBe(0);
});
