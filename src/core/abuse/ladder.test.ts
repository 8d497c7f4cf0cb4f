import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type AbuseRule, abuseRuleSchema, type REASONS } from '#contracts/abuse';
import { RUNGS, type Rung } from '#contracts/tenancy';
import { DEFAULT_RULES } from './default-rules.ts';
import { allowedRung, decideStep, expiresAtMs, REQUIREMENTS, reviewsNeeded } from './ladder.ts';
import { precisionOf } from './precision.ts';
import { compileRules } from './rules.ts';

const ruleOf = (rung: Rung, more: object = {}): AbuseRule => {
  const on = rung === 'suspend_organization' ? 'organization' : 'key';
  return abuseRuleSchema.parse({
    id: 'r',
    on,
    when: 'true',
    rung,
    reason: 'many_networks' satisfies (typeof REASONS)[number],
    factor: 0.5,
    capabilities: ['tools'],
    dry_run: false,
    ...more,
  });
};
const step = (rule: AbuseRule, confirmed: number, notConfirmed: number) =>
  decideStep({ kind: 'rule', rule, reviews: { confirmed, notConfirmed } });

test.each([
  [0, 0, 'note'],
  // 19 of 20 prove no more than 0.76, and 20 reviews are not 50.
  [19, 1, 'slow'],
  [45, 5, 'step_up'],
  [40, 10, 'slow'],
  [95, 5, 'block_capability'],
  [190, 10, 'suspend_key'],
  [100_000, 0, 'suspend_key'],
  [0, 1_000, 'note'],
] as const)('%d cases confirmed and %d not allow %s', (confirmed, notConfirmed, rung) => {
  expect(allowedRung({ confirmed, notConfirmed })).toBe(rung);
});

test('a rule never does more than it asks for, more than its reviews prove, or a whole organization', () => {
  const reviews = fc.record({ confirmed: fc.integer({ min: 0, max: 400 }), notConfirmed: fc.integer({ min: 0, max: 100 }) });
  fc.assert(
    fc.property(fc.constantFrom(...RUNGS), reviews, fc.boolean(), fc.boolean(), (rung, given, hasFactor, hasCapabilities) => {
      const rule = {
        ...ruleOf(rung),
        ...(hasFactor || rung === 'slow' ? {} : { factor: undefined }),
        ...(hasCapabilities || rung === 'block_capability' ? {} : { capabilities: undefined }),
      };
      const { act, propose, allowed, precision } = decideStep({ kind: 'rule', rule, reviews: given });
      const rank = (one: Rung): number => RUNGS.indexOf(one);
      expect(act).not.toBeNull();
      expect(rank(act!.rung)).toBeLessThanOrEqual(Math.min(rank(rung), rank(allowed)));
      expect(act!.rung).not.toBe('suspend_organization');
      const requirement = REQUIREMENTS[act!.rung]!;
      expect(precision!.lower).toBeGreaterThanOrEqual(requirement.precisionMin);
      expect(given.confirmed + given.notConfirmed).toBeGreaterThanOrEqual(requirement.reviewsMin);
      // What was not done is proposed, and nothing else is.
      expect(propose).toBe(act!.rung === rung ? null : rung);
      expect(act!.factor !== null).toBe(act!.rung === 'slow');
      expect(act!.capabilities.length > 0).toBe(act!.rung === 'block_capability');
    }),
  );
});

test('a rule that may not do all it asks for does what it may, and proposes the rest', () => {
  expect(step(ruleOf('suspend_key'), 19, 1)).toMatchObject({
    act: { rung: 'slow', factor: 0.5, decidedBy: { kind: 'rule', id: 'r' } },
    propose: 'suspend_key',
    allowed: 'slow',
  });
  expect(step({ ...ruleOf('suspend_key'), factor: undefined }, 19, 1)).toMatchObject({
    act: { rung: 'note' },
    propose: 'suspend_key',
  });
  expect(step(ruleOf('suspend_key'), 190, 10)).toMatchObject({ act: { rung: 'suspend_key' }, propose: null });
  expect(step(ruleOf('suspend_organization'), 100_000, 0)).toMatchObject({
    act: { rung: 'block_capability' },
    propose: 'suspend_organization',
  });
});

test('a dry run does nothing, however good it is', () => {
  expect(step(ruleOf('suspend_key', { dry_run: true }), 100_000, 0)).toMatchObject({
    act: null,
    propose: 'suspend_key',
    allowed: 'suspend_key',
  });
});

test('a key proven leaked is suspended at once, and a person may suspend anything', () => {
  expect(decideStep({ kind: 'leak_report', reportId: 'leak_1' })).toMatchObject({
    act: { rung: 'suspend_key', decidedBy: { kind: 'leak_report', id: 'leak_1' } },
    propose: null,
  });
  expect(decideStep({ kind: 'person', personId: 'mem_1', rung: 'suspend_organization' })).toMatchObject({
    act: { rung: 'suspend_organization', decidedBy: { kind: 'person', id: 'mem_1' } },
  });
});

test('the ladder only ever asks for more, the higher it goes', () => {
  const needed = RUNGS.map(reviewsNeeded);
  expect(needed).toEqual([0, 20, 50, 100, 200, null]);
  for (const rung of RUNGS) {
    const requirement = REQUIREMENTS[rung];
    if (requirement)
      expect(precisionOf({ confirmed: reviewsNeeded(rung)!, notConfirmed: 0 }).lower).toBeGreaterThanOrEqual(
        requirement.precisionMin,
      );
  }
});

test('what a rule does ends by itself', () => {
  expect(expiresAtMs(ruleOf('slow', { expires: '12h' }), 1_000)).toBe(1_000 + 12 * 3_600_000);
});

test('the shipped rules compile, are valid, and only ever ask for a look', () => {
  expect(compileRules(DEFAULT_RULES)).toMatchObject({ ok: true });
  for (const rule of DEFAULT_RULES) {
    expect(abuseRuleSchema.parse(rule)).toEqual(rule);
    expect(decideStep({ kind: 'rule', rule, reviews: { confirmed: 10_000, notConfirmed: 0 } }).act).toBeNull();
  }
  expect(new Set(DEFAULT_RULES.map(({ id }) => id)).size).toBe(DEFAULT_RULES.length);
});
