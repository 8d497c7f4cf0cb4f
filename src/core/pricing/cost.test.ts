import { expect, test } from 'vitest';
import { costMicroUsd } from './index.ts';

const none = { input: 0, cacheRead: 0, cacheWrite: 0, output: 0 };

test.each([
  [{ ...none, input: 1_000_000 }, 3_000_000],
  [{ ...none, input: 1 }, 3],
  [{ ...none, cacheRead: 1 }, 1],
  [{ ...none, cacheWrite: 10 }, 30],
  [{ input: 5, cacheRead: 7, cacheWrite: 0, output: 11 }, 183],
  [{ ...none, output: 9_000_000_000 }, 135_000_000_000],
  [none, 0],
])('%j costs %d micro-dollars', (tokens, expected) => {
  expect(costMicroUsd({ input: 3_000_000, output: 15_000_000, cacheRead: 300_000 }, tokens)).toBe(expected);
});
