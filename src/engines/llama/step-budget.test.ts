import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nextBudget } from './step-budget.ts';

const bounds = { leastTokens: 8, mostTokens: 128 };

test.each([
  ['a step that took too long halves the next one', { budgetTokens: 64, usedTokens: 64, tookMs: 161 }, 32],
  ['a quick one doubles it', { budgetTokens: 64, usedTokens: 64, tookMs: 20 }, 128],
  ['one in between changes nothing', { budgetTokens: 64, usedTokens: 64, tookMs: 110 }, 64],
  ['a half-empty one says nothing about a full one', { budgetTokens: 64, usedTokens: 4, tookMs: 250 }, 64],
  ['it never shrinks so far that someone could not move', { budgetTokens: 8, usedTokens: 8, tookMs: 5000 }, 8],
  ['it never grows beyond one batch', { budgetTokens: 128, usedTokens: 128, tookMs: 1 }, 128],
])('%s', (_, last, expected) => {
  expect(nextBudget(last, bounds)).toBe(expected);
});

test('on a machine of any speed, steps soon take far less than the 250 ms of an abort, or are as small as they can be', () => {
  fc.assert(
    fc.property(fc.double({ min: 0.01, max: 40, noNaN: true }), (msPerToken) => {
      let budgetTokens = 64;
      for (let step = 0; step < 20; step++) {
        const tookMs = budgetTokens * msPerToken;
        if (step >= 10) expect(tookMs <= 180 || budgetTokens === bounds.leastTokens).toBe(true);
        budgetTokens = nextBudget({ budgetTokens, usedTokens: budgetTokens, tookMs }, bounds);
      }
    }),
  );
});
