import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nextBudget } from './step-budget.ts';

const bounds = { leastTokens: 8, mostTokens: 128 };

test.each([
  ['a step that took too long makes the next one as much smaller', { budgetTokens: 64, usedTokens: 64, tookMs: 250 }, 32],
  ['a quick one makes the next one larger', { budgetTokens: 64, usedTokens: 64, tookMs: 20 }, 80],
  ['one in between changes nothing', { budgetTokens: 64, usedTokens: 64, tookMs: 110 }, 64],
  ['a half-empty one says nothing about a full one', { budgetTokens: 64, usedTokens: 4, tookMs: 250 }, 64],
  ['it never shrinks so far that someone could not move', { budgetTokens: 16, usedTokens: 16, tookMs: 5000 }, 8],
  ['it never grows beyond one batch', { budgetTokens: 120, usedTokens: 120, tookMs: 1 }, 128],
])('%s', (_, last, expected) => {
  expect(nextBudget(last, bounds)).toBe(expected);
});

test('on a machine of any speed, steps soon take no longer than they should, or are as small as they can be', () => {
  fc.assert(
    fc.property(fc.double({ min: 0.01, max: 40, noNaN: true }), (msPerToken) => {
      let budgetTokens = 64;
      for (let step = 0; step < 10; step++)
        budgetTokens = nextBudget({ budgetTokens, usedTokens: budgetTokens, tookMs: budgetTokens * msPerToken }, bounds);
      expect(budgetTokens * msPerToken <= 125 || budgetTokens === 8).toBe(true);
    }),
  );
});
