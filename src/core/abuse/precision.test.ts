import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { precisionOf, shareStandardError, wilson } from './precision.ts';

test.each([
  [95, 100, 0.8882, 0.9785],
  [190, 200, 0.9104, 0.9726],
  [19, 20, 0.7639, 0.9911],
  [45, 50, 0.7864, 0.9565],
  [0, 100, 0, 0.037],
])('the interval of %d in %d is %d to %d, as the tables say', (hits, total, lower, upper) => {
  const interval = wilson(hits, total);
  expect(interval.lower).toBeCloseTo(lower, 4);
  expect(interval.upper).toBeCloseTo(upper, 4);
});

const checkValues = path.resolve(import.meta.dirname, '../../../../shared/datasets/statistics-check-values/check_values.json');
test.skipIf(!existsSync(checkValues))(
  'the interval agrees with the check values beside the checkout (skipped where they are not)',
  () => {
    const rows = (
      JSON.parse(readFileSync(checkValues, 'utf8')) as {
        proportion_intervals_95: { k: number; n: number; wilson: [number, number] }[];
      }
    ).proportion_intervals_95;
    expect(rows.length).toBeGreaterThan(5);
    for (const { k, n, wilson: expected } of rows) {
      expect(wilson(k, n).lower).toBeCloseTo(expected[0], 9);
      expect(wilson(k, n).upper).toBeCloseTo(expected[1], 9);
    }
  },
);

test('an interval holds its share, narrows with more of the same, and is everything when nothing was seen', () => {
  expect(wilson(0, 0)).toEqual({ lower: 0, upper: 1 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000 }), fc.double({ min: 0, max: 1, noNaN: true }), (total, share) => {
      const hits = Math.round(total * share);
      const { lower, upper } = wilson(hits, total);
      expect(lower).toBeLessThanOrEqual(hits / total);
      expect(upper).toBeGreaterThanOrEqual(hits / total);
      const more = wilson(hits * 4, total * 4);
      expect(more.upper - more.lower).toBeLessThan(upper - lower);
    }),
  );
});

test('half a width of 5 points at 0.9 takes about 139 reviews', () => {
  const halfWidth = (reviews: number): number => {
    const { lower, upper } = precisionOf({ confirmed: 0.9 * reviews, notConfirmed: 0.1 * reviews });
    return (upper - lower) / 2;
  };
  expect(halfWidth(139)).toBeCloseTo(0.05, 3);
});

test('a share of none has an error too', () => {
  expect(shareStandardError(0, 100)).toBeCloseTo(0.037 / 3.92, 4);
});
