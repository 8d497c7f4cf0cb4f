import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fitError, fitNonNegative, predict } from './least-squares.ts';

test('weights that made the points are found again', () => {
  const weight = fc.integer({ min: 1, max: 1000 });
  fc.assert(
    fc.property(fc.tuple(weight, weight, weight), (weights) => {
      const observations = [1, 2, 4, 8, 16].flatMap((batch) =>
        [100, 1000, 5000].map((context) => {
          const terms = [1, batch, context];
          return { terms, measured: predict(weights, terms) };
        }),
      );
      for (const [index, found] of fitNonNegative(observations).entries()) expect(found).toBeCloseTo(weights[index]!, 3);
    }),
  );
});

test('a term that the points deny gets nothing, never a negative weight', () => {
  const observations = [1, 2, 3, 4].map((x) => ({ terms: [1, x], measured: 10 - x }));
  const weights = fitNonNegative(observations);
  expect(weights[1]).toBe(0);
  expect(weights[0]).toBeGreaterThan(0);
});

test('errors are relative, and the 90th percentile is the nearest rank', () => {
  const pairs = Array.from({ length: 10 }, (_, index) => ({ predicted: 100 + index, measured: 100 }));
  expect(fitError(pairs)).toEqual({ points: 10, medianRatio: 0.04, p90Ratio: 0.08 });
});
