import { expect, test } from 'vitest';
import { median, sorted } from './order-statistics.ts';
import { compare, judge, spreadOf, type Rounds, type Target } from './summary.ts';

const ROUNDS: Rounds = {
  plimsoll: [{ rate: 80 }, { rate: 45 }, { rate: 76 }],
  'bare-node': [{ rate: 100 }, { rate: 50 }, { rate: 100 }],
  other: [{ rate: 10 }, {}, { rate: 10 }],
};
const pair = { system: 'plimsoll', against: 'bare-node' };
const target = (bound: Target['bound'], by: Target['by'] = 'ratio'): Target => ({
  caseName: 'sweep',
  metric: 'rate',
  says: 'enough',
  by,
  bound,
});

test.each([
  [[], Number.NaN],
  [[7], 7],
  [[9, 1], 5],
  [[3, 1, 2], 2],
  [[4, Number.NaN, 1, 2, 3], 2.5],
])('the median of %j is %d, whatever could not be measured left aside', (values, expected) => {
  expect(median(values)).toBe(expected);
});

test('values are put in the order of numbers, not of their digits', () => {
  expect(sorted([100, 9, -1])).toEqual([-1, 9, 100]);
});

test('a spread counts the rounds that were measured', () => {
  expect(spreadOf([2, Number.NaN, 4])).toEqual({ median: 3, min: 2, max: 4, rounds: 2 });
});

test('two systems are compared within a round, so a slow round of both changes no ratio', () => {
  expect(compare(ROUNDS, 'rate', { ...pair, by: 'ratio' })).toEqual([0.8, 0.9, 0.76]);
  expect(compare(ROUNDS, 'rate', { ...pair, by: 'difference' })).toEqual([-20, -5, -24]);
});

test.each([
  [{ atLeast: 0.75 }, 'met', 3],
  [{ atLeast: 0.79 }, 'mixed', 2],
  [{ atLeast: 0.95 }, 'missed', 0],
  [{ atMost: 0.9 }, 'met', 3],
] as const)('a bound of %j is %s', (bound, kind, kept) => {
  expect(judge(target(bound), ROUNDS, 'plimsoll', 'bare-node')).toMatchObject({ kind, kept });
});

test('a target with a round that could not be measured is unmeasured, not met', () => {
  expect(judge(target({ atMost: 1 }), ROUNDS, 'other', 'bare-node').kind).toBe('unmeasured');
  expect(judge(target({ atMost: 1 }), ROUNDS, 'plimsoll', 'absent').kind).toBe('unmeasured');
  expect(judge(target({ atMost: 100 }, 'value'), ROUNDS, 'absent', 'bare-node').kind).toBe('unmeasured');
});
