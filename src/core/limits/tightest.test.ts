import { expect, test } from 'vitest';
import { groupOf, perMinute, rateOf, ruleOf, scopeOf } from './meter-kit.fixture.ts';
import { UNLIMITED } from './rate.ts';
import { isNearLimit, tightestLimits } from './tightest.ts';

test('of several limits on one thing, the client is told of the one that is nearest to its end', () => {
  const key = scopeOf(0, [ruleOf('rpm'), ruleOf('itpm', { measure: 'input_tokens' }), ruleOf('dry', { isDryRun: true })]);
  const organization = scopeOf(1, [
    ruleOf('org-rpm'),
    ruleOf('org-otpm', { measure: 'output_tokens' }),
    ruleOf('money', { measure: 'spend' }),
    ruleOf('org-tpm', { measure: 'total_tokens' }),
  ]);
  const groups = [
    groupOf(key, 1, [perMinute(60), perMinute(1_000), perMinute(1)]),
    groupOf(organization, 2, [perMinute(600), perMinute(100), rateOf({ kind: 'month', limit: 5 }), UNLIMITED]),
  ];
  // 30 of 60 used; 900 of 1,000; the dry one wholly; 540 of 600; nothing of 100; all the money.
  const ahead = Float64Array.of(30_000_000, 54_000_000, 60_000_000, 54_000_000, 0, 5, 0);
  const told = tightestLimits(groups, ahead);
  expect(told.requests).toMatchObject({ rule: { id: 'org-rpm' }, limit: 600, remaining: 60, fullInUs: 54_000_000 });
  expect(told.inputTokens).toMatchObject({ rule: { id: 'itpm' }, remaining: 100 });
  expect(told.outputTokens).toMatchObject({ rule: { id: 'org-otpm' }, remaining: 100, fullInUs: 0 });
  expect(told.tokens).toMatchObject({ rule: { id: 'itpm' } });
});

test('where nothing limits, nothing is told', () => {
  expect(tightestLimits([], new Float64Array())).toEqual({ requests: null, inputTokens: null, outputTokens: null, tokens: null });
});

test('a limit is near when less than a fifth of it is left; one that is not enforced, and places, never are', () => {
  const scope = scopeOf(0, [ruleOf('rpm'), ruleOf('dry', { isDryRun: true }), ruleOf('places', { measure: 'concurrency' })]);
  const groups = [groupOf(scope, 1, [perMinute(10), perMinute(10), rateOf({ kind: 'places', limit: 1 })])];
  expect(isNearLimit(groups, Float64Array.of(48_000_000, 60_000_000, 1))).toBe(false);
  expect(isNearLimit(groups, Float64Array.of(54_000_000, 0, 0))).toBe(true);
});
