import { unreachable } from '#core/kernel';
import type { TenantObject } from '#contracts/tenancy';
import type { AuditEntry, Versioned } from '#storage';
import type { KeyLimits, LimitState, RuleInForce } from './limit-views.ts';

/** An object as the admin API shows it. Field by field: a key's hash, and whatever is added later, stays inside. */
export function present({ object, version }: Versioned<TenantObject>): object {
  return { ...fieldsOf(object), version };
}

function fieldsOf(object: TenantObject): object {
  const { kind, id, organization } = object;
  const of = { kind, id, organization };
  switch (object.kind) {
    case 'organization': {
      const { name, tier, limits, whenCutOff, appealUrl, createdAtMs, closedAtMs } = object;
      return {
        kind,
        id,
        name,
        tier,
        limits,
        when_cut_off:
          whenCutOff.kind === 'serve'
            ? { kind: 'serve' }
            : {
                kind: 'refuse',
                after_seconds: whenCutOff.afterSeconds,
              },
        appeal_url: appealUrl,
        created_at_ms: createdAtMs,
        closed_at_ms: closedAtMs,
      };
    }
    case 'workspace':
      return {
        ...of,
        name: object.name,
        limits: object.limits,
        created_at_ms: object.createdAtMs,
        closed_at_ms: object.closedAtMs,
      };
    case 'key': {
      const { workspace, name, use, role, reach, member, hint, scopes, limits } = object;
      return {
        ...of,
        workspace,
        name,
        use,
        role,
        reach,
        member,
        hint,
        scopes,
        limits,
        hash_kind: object.hash.kind,
        created_at_ms: object.createdAtMs,
        created_by: object.createdBy,
        expires_at_ms: object.expiresAtMs,
        revoked_at_ms: object.revokedAtMs,
        replaced_by: object.replacedBy,
      };
    }
    case 'end_user':
      return { ...of, limits: object.limits, created_at_ms: object.createdAtMs };
    case 'member': {
      const { email, role, reach } = object;
      return { ...of, email, role, reach, created_at_ms: object.createdAtMs, removed_at_ms: object.removedAtMs };
    }
    case 'action': {
      const { subject, rung, factor, capabilities, reason, evidence, decidedBy } = object;
      return {
        ...of,
        subject,
        rung,
        factor,
        capabilities,
        reason,
        evidence,
        case: object.case,
        decided_by: decidedBy,
        created_at_ms: object.createdAtMs,
        expires_at_ms: object.expiresAtMs,
        reversed_at_ms: object.reversedAtMs,
        reversed_by: object.reversedBy,
        reversed_because: object.reversedBecause,
      };
    }
    case 'case': {
      const { subject, rule, status, signals, occurrences, review } = object;
      return {
        ...of,
        subject,
        rule,
        when: object.when ?? null,
        proposes: object.proposes ?? null,
        status,
        signals,
        occurrences,
        opened_at_ms: object.openedAtMs,
        last_seen_at_ms: object.lastSeenAtMs,
        closed_at_ms: object.closedAtMs,
        review: review && {
          verdict: review.verdict,
          by: review.by,
          at_ms: review.atMs,
          note: review.note,
        },
      };
    }
    case 'appeal': {
      const { action, statement, decision } = object;
      return {
        ...of,
        action,
        statement,
        created_at_ms: object.createdAtMs,
        decision: decision && {
          verdict: decision.verdict,
          by: decision.by,
          at_ms: decision.atMs,
          note: decision.note,
        },
      };
    }
    default:
      return unreachable(object);
  }
}

export function presentAudit({ sequence, commit, atMs, actor, act, organization, subject, details, hash }: AuditEntry): object {
  return { sequence, commit, at_ms: atMs, actor, act, organization, subject, details, hash };
}

export function presentRule({ modelClasses, whenAway, isLeased, isDryRun, ...rule }: RuleInForce): object {
  const { rule: id, per, of, limit, burst, window } = rule;
  return {
    rule: id,
    per,
    of,
    limit,
    burst,
    window,
    model_classes: modelClasses,
    when_away: whenAway,
    leased: isLeased,
    dry_run: isDryRun,
  };
}

export function presentLimits({ limits, bindsNext }: KeyLimits): object {
  return { limits: limits.map(presentLimit), binds_next: bindsNext };
}

function presentLimit(state: LimitState): object {
  const { subject, left, fullInMs, by, bounds } = state;
  return {
    ...presentRule(state),
    subject,
    left,
    full_in_ms: fullInMs,
    by,
    bounds: {
      overshoot: bounds.overshoot,
      stranded: bounds.stranded,
      stale_ms: bounds.staleMs,
    },
  };
}
