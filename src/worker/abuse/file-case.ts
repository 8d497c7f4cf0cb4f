import { createHash } from 'node:crypto';
import { durationMs } from '#contracts/abuse';
import type { Action, Case, Subject, TenantObject } from '#contracts/tenancy';
import {
  type CompiledRule,
  decideStep,
  evidenceOf,
  expiresAtMs,
  fileFiring,
  type Reading,
  type Reviews,
  type Step,
} from '#core/abuse';
import { isInForce } from '#core/tenancy';
import type { AuditDraft, ControlStore, Versioned } from '#storage';

/** A rule that fired about a subject. */
export interface Firing {
  readonly rule: CompiledRule;
  readonly subject: Subject;
  /** Whose subject it is. */
  readonly organization: string;
  readonly reading: Reading;
  /** Wall ms. */
  readonly atMs: number;
}

export type Filed =
  /** There is nothing to write until then, wall ms. */
  | { readonly kind: 'quiet'; readonly untilMs: number; readonly isOpen: boolean }
  | {
      readonly kind: 'filed';
      readonly untilMs: number;
      readonly isNew: boolean;
      readonly action: Action | null;
      readonly objects: readonly Versioned<TenantObject>[];
    }
  /** Others changed the same case each time that it was read. */
  | { readonly kind: 'contended' };

const TRIES = 5;
const PAGE = 100;

/**
 * Brings one firing into the store: a case, the action that the rule has earned, and an audit entry, in one commit. Names follow
 * from rule, subject and number, so of several gateways that see the same thing one writes it, and the others then find it.
 * @param reviews - of this rule, as measured
 * @throws StoreAway
 */
export async function fileCase(
  firing: Firing,
  { store, reviews }: { readonly store: Pick<ControlStore, 'list' | 'commit'>; readonly reviews: Reviews },
): Promise<Filed> {
  const { organization } = firing;
  const { rule } = firing.rule;
  const step = decideStep({ kind: 'rule', rule, reviews });
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const cases = await listAll(
      (after) => store.list({ kind: 'case', organization, after, max: PAGE }),
      `case_${stemOf(firing)}_`,
    );
    const filing = fileFiring({ rule, subject: firing.subject, cases: cases.map(({ object }) => object), nowMs: firing.atMs });
    const open = cases.find(({ object }) => object.status === 'open') ?? null;
    if (filing.kind === 'quiet')
      return { kind: 'quiet', untilMs: quietUntilMs(firing, open?.object ?? null), isOpen: open !== null };
    const changed = caseOf({ firing, step, open: open?.object ?? null, number: cases.length });
    const before =
      open === null
        ? []
        : await listAll((after) => store.list({ kind: 'action', organization, after, max: PAGE }), actionPrefix(changed));
    const action = actionOf({ firing, step, of: changed, before: before.map(({ object }) => object) });
    const put = [
      { object: changed, expectVersion: open?.version ?? 0 },
      ...(action === null ? [] : [{ object: action, expectVersion: 0 }]),
    ];
    const done = await store.commit({ put, audit: auditOf({ firing, step, reviews, of: changed, action }) });
    if (done.kind === 'conflict') continue;
    return {
      kind: 'filed',
      untilMs: firing.atMs + durationMs(rule.window),
      isNew: open === null,
      action,
      objects: put.map(({ object, expectVersion }) => ({ object, version: expectVersion + 1, commit: done.commit })),
    };
  }
  return { kind: 'contended' };
}

/** What the names of all cases and actions of a rule about a subject have in common. */
function stemOf({ rule: { rule }, subject }: Firing): string {
  return createHash('sha256')
    .update(JSON.stringify([rule.id, subject.kind, subject.id]))
    .digest('hex')
    .slice(0, 24);
}

const numbered = (prefix: string, number: number): string => `${prefix}${String(number).padStart(6, '0')}`;
const actionPrefix = ({ id }: Case): string => `act_${id.slice(id.indexOf('_') + 1)}_`;

/** All objects whose ids begin with `prefix`, oldest first, from pages of a kind. */
async function listAll<T extends TenantObject>(
  page: (after: string) => Promise<readonly Versioned<T>[]>,
  prefix: string,
): Promise<readonly Versioned<T>[]> {
  const found: Versioned<T>[] = [];
  let after = prefix;
  for (;;) {
    const own = (await page(after)).filter(({ object }) => object.id.startsWith(prefix));
    found.push(...own);
    if (own.length < PAGE) return found;
    after = own.at(-1)?.object.id ?? after;
  }
}

/** Until when nothing more can come of this: a window after it was last seen, or from now, since a review may change meanwhile. */
function quietUntilMs({ rule: { rule }, atMs }: Firing, open: Case | null): number {
  return Math.min(atMs, open?.lastSeenAtMs ?? atMs) + durationMs(rule.window);
}

function caseOf({
  firing: { rule, subject, organization, reading, atMs },
  ...known
}: {
  readonly firing: Firing;
  readonly step: Step;
  readonly open: Case | null;
  /** Cases of this rule and subject before it. */
  readonly number: number;
}): Case {
  const { open, step, number } = known;
  const { id, when } = rule.rule;
  return {
    kind: 'case',
    id: open?.id ?? numbered(`case_${stemOf({ rule, subject, organization, reading, atMs })}_`, number),
    organization,
    subject,
    rule: id,
    when,
    ...(step.propose && { proposes: step.propose }),
    status: 'open',
    signals: evidenceOf(reading),
    occurrences: (open?.occurrences ?? 0) + 1,
    openedAtMs: open?.openedAtMs ?? atMs,
    lastSeenAtMs: Math.max(open?.lastSeenAtMs ?? 0, atMs),
    closedAtMs: null,
    review: null,
  };
}

/**
 * What is done now; null for nothing. A note is the case itself: an action would tell its subject of it before anybody has looked.
 * While one that the case led to is in force there is no second, and after a person has reversed one there is none at all.
 */
function actionOf({
  firing: { rule, subject, organization, reading, atMs },
  ...decided
}: {
  readonly firing: Firing;
  readonly step: Step;
  readonly of: Case;
  readonly before: readonly Action[];
}): Action | null {
  const { step, of, before } = decided;
  if (step.act === null || step.act.rung === 'note') return null;
  // Limits of a network have no factor to be slowed by, and an action may not claim what nothing enforces.
  if (step.act.rung === 'slow' && subject.kind === 'address_block') return null;
  if (before.some((action) => action.reversedAtMs !== null || isInForce(action, atMs))) return null;
  const evidence = Object.entries(evidenceOf(reading)).filter(([name]) =>
    rule.signals.some((signal) => name === signal || name === `${signal}_error`),
  );
  return {
    kind: 'action',
    id: numbered(actionPrefix(of), before.length),
    organization,
    subject,
    ...step.act,
    reason: rule.rule.reason,
    evidence: Object.fromEntries(evidence),
    case: of.id,
    createdAtMs: atMs,
    expiresAtMs: expiresAtMs(rule.rule, atMs),
    reversedAtMs: null,
    reversedBy: null,
    reversedBecause: null,
  };
}

function auditOf({
  firing: { rule, subject, organization, atMs },
  ...decided
}: {
  readonly firing: Firing;
  readonly step: Step;
  readonly reviews: Reviews;
  readonly of: Case;
  readonly action: Action | null;
}): AuditDraft {
  const { step, reviews, of, action } = decided;
  return {
    atMs,
    actor: `rule:${rule.rule.id}`,
    act: of.occurrences === 1 ? 'case.open' : 'case.update',
    organization,
    subject: of.id,
    details: {
      about: subject.id,
      dry_run: rule.rule.dry_run,
      confirmed: reviews.confirmed,
      reviewed: reviews.confirmed + reviews.notConfirmed,
      precision_min: step.precision?.lower ?? null,
      allowed: step.allowed,
      proposes: of.proposes ?? null,
      action: action?.id ?? null,
      rung: action?.rung ?? null,
    },
  };
}
