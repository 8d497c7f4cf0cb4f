import { expect, test } from 'vitest';
import { tierSchema } from '#contracts/limits';
import { promotionOf, type PromotionFacts } from './promotion.ts';

const tier = tierSchema.parse({ id: 'start', promotion: { to: 'build', days: 7, spent: 5_000_000 } });
const facts = (more: Partial<PromotionFacts> = {}): PromotionFacts => ({
  ageDays: 8,
  spentMicroUsd: 5_000_000,
  hasActions: false,
  ...more,
});

test('who has stayed, paid and behaved may move up', () => {
  expect(promotionOf(tier, facts())).toEqual({ kind: 'eligible', to: 'build' });
});

test('everything that is missing is said at once', () => {
  expect(promotionOf(tier, facts({ ageDays: 6.9, spentMicroUsd: 1, hasActions: true }))).toEqual({
    kind: 'not_yet',
    to: 'build',
    because: ['it is 6 of 7 days old', 'it has spent $0.00 of $5.00', 'actions against it stand'],
  });
});

test('spending that nobody can tell is never a promotion, unless none is asked', () => {
  expect(promotionOf(tier, facts({ spentMicroUsd: null })).kind).toBe('unmeasured');
  const free = tierSchema.parse({ id: 'start', promotion: { to: 'build', days: 7, spent: 0 } });
  expect(promotionOf(free, facts({ spentMicroUsd: null })).kind).toBe('eligible');
});

test('a tier without a rule, and an organization without a tier, stay as they are', () => {
  expect(promotionOf(null, facts())).toEqual({ kind: 'none' });
  expect(promotionOf(tierSchema.parse({ id: 'top' }), facts())).toEqual({ kind: 'none' });
});
