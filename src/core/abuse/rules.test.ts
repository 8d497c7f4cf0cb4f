import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type AbuseRule, abuseRuleSchema, abuseSchema } from '#contracts/abuse';
import { compileRule, compileRules, RULE_PARTS_MAX } from './rules.ts';
import { type Reading, SIGNAL_NAMES, type SignalName } from './signal-names.ts';

const ruleOf = (when: string, more: Partial<AbuseRule> = {}): AbuseRule =>
  abuseRuleSchema.parse({ id: 'r', on: 'key', when, rung: 'note', reason: 'many_networks', ...more });
const readingOf = (values: Partial<Record<SignalName, number>>, errors: Reading['errors'] = {}): Reading => ({
  values: { ...(Object.fromEntries(SIGNAL_NAMES.map((name) => [name, null])) as Reading['values']), ...values },
  errors,
});
const judge = (when: string, reading: Reading): string => {
  const compiled = compileRule(ruleOf(when));
  if (!compiled.ok) throw new Error(compiled.error);
  return compiled.value.judge(reading).kind;
};
const problem = (when: string, more: Partial<AbuseRule> = {}): string => {
  const compiled = compileRule(ruleOf(when, more));
  return compiled.ok ? 'compiled' : compiled.error;
};

test.each([
  ['distinct_networks > 10', { distinct_networks: 11 }, 'fires'],
  ['distinct_networks > 10', { distinct_networks: 10 }, 'quiet'],
  ['distinct_networks >= 10.5 || two_places > 0', { distinct_networks: 10, two_places: 1 }, 'fires'],
  ['!(error_share < 0.5) && error_share != 1', { error_share: 0.7 }, 'fires'],
  ['spend_hour / 1000000 > 5 + 1', { spend_hour: 7_000_000 }, 'fires'],
  ['spend_hour / 1000000 > 5 + 1', { spend_hour: 5_999_999 }, 'quiet'],
  ['new_model_excess > -0.5', { new_model_excess: -0.4 }, 'fires'],
  ['(two_places > 0 ? distinct_networks : 0) > 3', { two_places: 0, distinct_networks: 9 }, 'quiet'],
  ['true', {}, 'fires'],
  ['spend_hour / tokens_hour > 5', { spend_hour: 0, tokens_hour: 0 }, 'quiet'],
])('a rule that says %s of %j is decided: %s', (when, values, expected) => {
  expect(judge(when, readingOf(values))).toBe(expected);
});

test('a rule that reads a signal of which nothing could be told does not fire, whatever the rest says, and names it', () => {
  const compiled = compileRule(ruleOf('requests_seen > 1 || spend_ratio > 2 || two_places > 0'));
  if (!compiled.ok) throw new Error(compiled.error);
  expect(compiled.value.judge(readingOf({ requests_seen: 5 }))).toEqual({
    kind: 'unmeasured',
    signals: ['spend_ratio', 'two_places'],
  });
  expect(compiled.value.signals).toEqual(['requests_seen', 'spend_ratio', 'two_places']);
});

test('a rule may ask how sure an estimate is', () => {
  const when = 'distinct_networks - 3 * distinct_networks_error > 100';
  expect(judge(when, readingOf({ distinct_networks: 120 }, { distinct_networks: 8 }))).toBe('quiet');
  expect(judge(when, readingOf({ distinct_networks: 130 }, { distinct_networks: 8 }))).toBe('fires');
  expect(judge(when, readingOf({}))).toBe('unmeasured');
});

test.each([
  ['distinct_network > 1', 'did you mean distinct_networks?'],
  ['velocity_chang > 1', 'did you mean velocity_change?'],
  ['nonsense > 1', 'names nonsense, which is no signal of key'],
  ['new_accounts > 1', 'which is no signal of key'],
  ['two_places_error > 1', 'two_places is exact'],
  ['distinct_networks', 'is a number'],
  ['distinct_networks > true', 'has a number and a boolean for >'],
  ['distinct_networks && true', 'has a number and a boolean for &&'],
  ['distinct_networks >', 'is not CEL'],
  ['"a" == "a"', 'no other literals'],
  ['size(distinct_networks) > 1', 'may not call size'],
  ['distinct_networks in [1, 2]', 'no fields, lists'],
  ['[1, 2].all(x, x > 0)', 'no fields, lists, maps or macros'],
  ['distinct_networks.a > 1', 'no fields'],
  ['distinct_networks.abs() > 1', 'may not call abs'],
  ['distinct_networks % 2 == 1', 'may not call %'],
  ['__proto__ > 1', 'no signal'],
  ['constructor > 1', 'no signal'],
  ['true ? 1 : false', 'do not match'],
])('"%s" is no rule, and the message says why', (when, message) => {
  expect(problem(when)).toContain(message);
});

test('what a rule may cost is bounded by its parts and its length', () => {
  const sum = (terms: number): string => `${Array.from({ length: terms }, () => '1').join(' + ')} > two_places`;
  expect(problem(sum(RULE_PARTS_MAX / 2 - 1))).toBe('compiled');
  expect(problem(sum(RULE_PARTS_MAX / 2))).toContain(`more than ${RULE_PARTS_MAX} parts`);
  expect(() => ruleOf(`${' '.repeat(500)}true`)).toThrow();
});

test('no text makes the compiler throw, and what it compiles always comes to a decision', () => {
  const word = fc.constantFrom(
    'distinct_networks',
    'two_places',
    'error_share_error',
    '1',
    '2.5',
    '1u',
    'true',
    '(',
    ')',
    '&&',
    '||',
    '!',
    '>',
    '==',
    '-',
    '/',
    '?',
    ':',
    '[',
    '.',
    'size',
    '"',
  );
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 15 }), fc.double({ noNaN: true }), (words, value) => {
      const compiled = compileRule(ruleOf(words.join(' ')));
      if (!compiled.ok) return;
      const reading = readingOf(
        { distinct_networks: value, two_places: 1, error_share: 0.5 },
        { distinct_networks: 1, error_share: 0.1 },
      );
      expect(['fires', 'quiet']).toContain(compiled.value.judge(reading).kind);
    }),
    { numRuns: 2_000 },
  );
});

test('rules are compiled all or none, and each bad one is named', () => {
  const result = compileRules([ruleOf('true', { id: 'good' }), ruleOf('nope > 1', { id: 'bad' }), ruleOf('1', { id: 'worse' })]);
  expect(result).toMatchObject({ ok: false, error: [{ id: 'bad' }, { id: 'worse' }] });
});

describe('the configuration of a rule', () => {
  const base = { id: 'r', on: 'key', when: 'true', rung: 'note', reason: 'near_limit' };
  test.each([
    [{ rung: 'slow' }, 'needs factor'],
    [{ rung: 'block_capability' }, 'needs capabilities'],
    [{ rung: 'suspend_organization' }, 'on: organization'],
    [{ rung: 'suspend_key', on: 'organization' }, 'on: key'],
    [{ expires: 'soon' }, 'a time such as'],
    [{ expires: '9000d' }, 'a year at most'],
    [{ capabilities: ['everything'] }, 'tools'],
    [{ surprise: 1 }, 'surprise'],
    [{ reason: 'because' }, 'Invalid option'],
  ])('%j is refused', (more, message) => {
    const result = abuseRuleSchema.safeParse({ ...base, ...more });
    expect(result.success).toBe(false);
    expect(result.error!.message).toContain(message);
  });

  test('a rule is a dry run unless its configuration says otherwise', () => {
    expect(abuseRuleSchema.parse(base)).toMatchObject({ dry_run: true, expires: '1d', window: '1h', cool_down: '7d' });
  });

  test('two rules do not share an id', () => {
    expect(abuseSchema.safeParse({ rules: [base, base] }).error!.message).toContain('the id of another rule');
    expect(abuseSchema.parse({})).toMatchObject({ rules: [], default_rules: true, subjects_max: { key: 32_768 } });
  });
});
