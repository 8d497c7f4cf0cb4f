import { expect, test } from 'vitest';
import { expectedCosts, settlingDeltas, unitsOf } from './amounts.ts';
import { groupOf, perMinute, rateOf, ruleOf, scopeOf } from './meter-kit.fixture.ts';
import { UNLIMITED } from './rate.ts';

const price = { input: 3_000_000, output: 15_000_000, cacheRead: 300_000, cacheWrite: 3_750_000 };
const amounts = { input: 100, cacheRead: 1_000, cacheWrite: 50, output: 20 };

test.each([
  ['requests', ruleOf('r'), 1],
  ['input is what was read anew, and what was written to the cache', ruleOf('r', { measure: 'input_tokens' }), 150],
  ['cache reads weigh what the rule says, rounded up', ruleOf('r', { measure: 'input_tokens', cacheReadWeight: 0.1005 }), 251],
  ['output', ruleOf('r', { measure: 'output_tokens' }), 20],
  ['total', ruleOf('r', { measure: 'total_tokens' }), 170],
  ['spend, in micro-dollars', ruleOf('r', { measure: 'spend' }), 300 + 300 + 188 + 300],
  ['a place', ruleOf('r', { measure: 'concurrency' }), 1],
  ['a batch holds its own place', ruleOf('r', { measure: 'batch_queue' }), 0],
])('%s', (_, rule, units) => expect(unitsOf(rule, amounts, price)).toBe(units));

test('a model without a price costs nothing that a limit on spend could see', () => {
  expect(unitsOf(ruleOf('r', { measure: 'spend' }), amounts, null)).toBe(0);
});

const scope = scopeOf(0, [
  ruleOf('rpm'),
  ruleOf('itpm', { measure: 'input_tokens' }),
  ruleOf('otpm', { measure: 'output_tokens', output: 'max_tokens' }),
  ruleOf('spend', { measure: 'spend', output: 'metered' }),
  ruleOf('places', { measure: 'concurrency' }),
]);
const groups = [
  groupOf(scope, 1, [perMinute(5), perMinute(400), perMinute(80), UNLIMITED, rateOf({ kind: 'places', limit: 2 })]),
];
const output = { metered: 0, quantile: 60, max_tokens: 4_096 };

test('an expectation takes no more than a limit could ever give, so that no guess is refused for good', () => {
  const costs = new Float64Array(5);
  expectedCosts(groups, { input: 1_000_000, output, price }, costs);
  expect([...costs]).toEqual([1, 400, 80, 0, 1]);
});

test('settling charges what is missing and gives back what was too much; nothing for places', () => {
  const deltas = new Float64Array(5);
  settlingDeltas(groups, { amounts, price, charged: Float64Array.of(1, 400, 80, 0, 1), wasAnswered: true }, deltas);
  expect([...deltas]).toEqual([0, -250, -60, 0, 0]);
  const nothing = { input: 0, cacheRead: 0, cacheWrite: 0, output: 0 };
  settlingDeltas(groups, { amounts: nothing, price, charged: Float64Array.of(1, 400, 80, 0, 1), wasAnswered: false }, deltas);
  expect([...deltas]).toEqual([-1, -400, -80, 0, 0]);
});
