import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planStep, type Wish } from './plan-step.ts';

const read = (left: number): Wish => ({ kind: 'prefill', left });
const write: Wish = { kind: 'decode' };

test.each([
  [[write, write], 64, [1, 1]],
  [[read(1000)], 64, [64]],
  [[read(10)], 64, [10]],
  [[write, read(1000)], 64, [1, 63]],
  [[read(1000), read(1000)], 64, [32, 32]],
  [[read(10), read(1000), write], 64, [10, 53, 1]],
  [[], 64, []],
])('%j within %i tokens is %j', (wishes, budget, expected) => {
  expect(planStep(wishes, budget)).toEqual(expected);
});

test('a step never exceeds its budget, moves everyone, and wastes nothing while someone still reads', () => {
  const wish = fc.oneof(fc.constant(write), fc.integer({ min: 1, max: 200 }).map(read));
  fc.assert(
    fc.property(fc.array(wish, { maxLength: 8 }), fc.integer({ min: 16, max: 128 }), (wishes, budget) => {
      const shares = planStep(wishes, budget);
      const total = shares.reduce((sum, share) => sum + share, 0);
      expect(total).toBeLessThanOrEqual(budget);
      expect(shares.every((share) => share >= 1)).toBe(true);
      const asked = wishes.map((each) => (each.kind === 'decode' ? 1 : each.left));
      expect(shares.every((share, at) => share <= asked[at]!)).toBe(true);
      expect(total).toBe(
        Math.min(
          budget,
          asked.reduce((sum, each) => sum + each, 0),
        ),
      );
    }),
  );
});
