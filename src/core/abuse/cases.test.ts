import { expect, test } from 'vitest';
import { abuseRuleSchema } from '#contracts/abuse';
import { type Case, tenantObjectSchema } from '#contracts/tenancy';
import { evidenceOf, fileFiring, groupCases, reviewsOf } from './cases.ts';
import { type Reading, SIGNAL_NAMES } from './signal-names.ts';

const HOUR = 3_600_000;
const NOW = 1_000 * 24 * HOUR;
const rule = abuseRuleSchema.parse({
  id: 'networks',
  on: 'key',
  when: 'true',
  rung: 'note',
  reason: 'many_networks',
  window: '1h',
  cool_down: '2d',
});
const subject = { kind: 'key', id: 'key_a' } as const;
const caseOf = (more: Partial<Case> = {}): Case => {
  const whole = {
    kind: 'case',
    id: 'case_1',
    organization: 'org_a',
    subject,
    rule: 'networks',
    status: 'open',
    signals: {},
    occurrences: 1,
    openedAtMs: NOW,
    lastSeenAtMs: NOW,
    closedAtMs: null,
    review: null,
    ...more,
  };
  expect(tenantObjectSchema.parse(whole)).toEqual(whole);
  return whole as Case;
};
const reviewed = (verdict: 'confirmed' | 'mistaken' | 'unsure', atMs = NOW): Partial<Case> => ({
  status: 'closed',
  closedAtMs: atMs,
  review: { verdict, by: 'mem_1', atMs, note: '' },
});
const file = (cases: readonly Case[], nowMs: number): unknown => fileFiring({ rule, subject, cases, nowMs });

test('a rule opens one case for a subject, is quiet within its window, and then adds to the case', () => {
  expect(file([], NOW)).toEqual({ kind: 'open' });
  const open = caseOf();
  expect(file([open], NOW + HOUR - 1)).toEqual({ kind: 'quiet', because: 'same_window' });
  expect(file([open], NOW + HOUR)).toEqual({ kind: 'update', case: open });
});

test('a case of another rule or subject does not keep a rule quiet', () => {
  expect(file([caseOf({ rule: 'other' }), caseOf({ subject: { kind: 'end_user', id: 'key_a' } })], NOW)).toEqual({
    kind: 'open',
  });
});

test('after a review the rule is quiet about that subject until it has cooled down, a case closed unseen does not quiet it', () => {
  const done = caseOf(reviewed('mistaken'));
  expect(file([done], NOW + 48 * HOUR - 1)).toEqual({ kind: 'quiet', because: 'cooling_down' });
  expect(file([done], NOW + 48 * HOUR)).toEqual({ kind: 'open' });
  expect(file([caseOf({ status: 'closed', closedAtMs: NOW })], NOW)).toEqual({ kind: 'open' });
});

test('a review that could not tell is no confirmation', () => {
  const cases = [
    caseOf(reviewed('confirmed')),
    caseOf(reviewed('unsure')),
    caseOf(reviewed('mistaken')),
    caseOf(),
    caseOf({ ...reviewed('confirmed'), rule: 'other' }),
  ];
  expect(reviewsOf('networks', cases)).toEqual({ confirmed: 1, notConfirmed: 2 });
});

test('a reviewer sees an organization once, most rules first', () => {
  const groups = groupCases([
    caseOf({ id: 'case_1', organization: 'org_late', lastSeenAtMs: NOW + 5 }),
    caseOf({ id: 'case_2', organization: 'org_two' }),
    caseOf({ id: 'case_3', organization: 'org_two', rule: 'other', lastSeenAtMs: NOW + 1 }),
    caseOf({ id: 'case_4', organization: 'org_early' }),
    caseOf({ id: 'case_5', organization: 'org_done', ...reviewed('confirmed') }),
  ]);
  expect(groups.map(({ organization, cases, lastSeenAtMs }) => [organization, cases.length, lastSeenAtMs - NOW])).toEqual([
    ['org_two', 2, 1],
    ['org_late', 1, 5],
    ['org_early', 1, 0],
  ]);
});

test('evidence holds what could be told, with its errors, and nothing else', () => {
  const values = Object.fromEntries(SIGNAL_NAMES.map((name) => [name, null])) as Reading['values'];
  const reading: Reading = { values: { ...values, distinct_networks: 40, two_places: 0 }, errors: { distinct_networks: 2.6 } };
  expect(evidenceOf(reading)).toEqual({ distinct_networks: 40, distinct_networks_error: 2.6, two_places: 0 });
});
