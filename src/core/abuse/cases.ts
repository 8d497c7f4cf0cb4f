import { type AbuseRule, durationMs } from '#contracts/abuse';
import type { Case, Subject } from '#contracts/tenancy';
import type { Reviews } from './precision.ts';
import type { Reading } from './signal-names.ts';

/** What to do with a rule that fired, given what is known of it and its subject already. */
export type Filing =
  /** Nothing: within its window it is the same firing, or a person said not long ago what to think of it. */
  | { readonly kind: 'quiet'; readonly because: 'same_window' | 'cooling_down' }
  /** There is an open case: this is one more occurrence of it. */
  | { readonly kind: 'update'; readonly case: Case }
  | { readonly kind: 'open' };

/**
 * Joins a firing with the case that there is of it, so that a reviewer sees each subject once for each rule.
 * @param cases - those of this rule and subject, open and closed; others are passed over
 */
export function fileFiring({
  rule,
  subject,
  cases,
  nowMs,
}: {
  readonly rule: AbuseRule;
  readonly subject: Subject;
  readonly cases: readonly Case[];
  readonly nowMs: number;
}): Filing {
  const own = cases.filter((one) => one.rule === rule.id && isSameSubject(one.subject, subject));
  const open = own.find(({ status }) => status === 'open');
  if (open)
    return nowMs - open.lastSeenAtMs < durationMs(rule.window)
      ? { kind: 'quiet', because: 'same_window' }
      : { kind: 'update', case: open };
  const coolDownMs = durationMs(rule.cool_down);
  if (own.some(({ review }) => review !== null && nowMs - review.atMs < coolDownMs))
    return { kind: 'quiet', because: 'cooling_down' };
  return { kind: 'open' };
}

/** What reviewers said of a rule so far. A case closed without a review says nothing. */
export function reviewsOf(ruleId: string, cases: readonly Case[]): Reviews {
  let [confirmed, notConfirmed] = [0, 0];
  for (const { rule, review } of cases) {
    if (rule !== ruleId || review === null) continue;
    if (review.verdict === 'confirmed') confirmed++;
    else notConfirmed++;
  }
  return { confirmed, notConfirmed };
}

/** The signals of a case or the evidence of an action: what could be told, and of estimates their error. */
export function evidenceOf(reading: Reading): Record<string, number> {
  const evidence: Record<string, number> = {};
  for (const [name, value] of Object.entries(reading.values)) if (value !== null) evidence[name] = value;
  for (const [name, error] of Object.entries(reading.errors)) evidence[`${name}_error`] = error;
  return evidence;
}

/** Open cases that belong together for a reviewer: those of one organization, whatever fired on whichever part of it. */
export interface CaseGroup {
  readonly organization: string;
  readonly cases: readonly Case[];
  readonly lastSeenAtMs: number;
}

/** Groups open cases by organization: most rules first, then the latest. */
export function groupCases(cases: readonly Case[]): readonly CaseGroup[] {
  const byOrganization = Map.groupBy(
    cases.filter(({ status }) => status === 'open'),
    ({ organization }) => organization,
  );
  const rules = ({ cases: own }: CaseGroup): number => new Set(own.map(({ rule }) => rule)).size;
  return [...byOrganization]
    .map(([organization, own]) => ({ organization, cases: own, lastSeenAtMs: Math.max(...own.map((one) => one.lastSeenAtMs)) }))
    .sort((a, b) => rules(b) - rules(a) || b.lastSeenAtMs - a.lastSeenAtMs);
}

function isSameSubject(a: Subject, b: Subject): boolean {
  return a.kind === b.kind && a.id === b.id;
}
