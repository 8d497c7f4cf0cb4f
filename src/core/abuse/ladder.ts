import { type AbuseRule, durationMs } from '#contracts/abuse';
import { type Action, RUNGS, type Rung } from '#contracts/tenancy';
import { type Interval, precisionOf, type Reviews } from './precision.ts';

/** What a rule's cases must have shown before it may take a rung by itself; null is never. */
export interface Requirement {
  /** The lower end of the 95 % interval of its precision. */
  readonly precisionMin: number;
  /** Reviewed cases. */
  readonly reviewsMin: number;
}

/**
 * The ladder. A note harms nobody; what takes more from people needs more proof; and a whole organization is only ever suspended by
 * a person. An interval's lower end, not its middle: 19 right of 20 prove 0.76.
 */
export const REQUIREMENTS: { readonly [rung in Rung]: Requirement | null } = {
  note: { precisionMin: 0, reviewsMin: 0 },
  slow: { precisionMin: 0.5, reviewsMin: 20 },
  step_up: { precisionMin: 0.75, reviewsMin: 50 },
  block_capability: { precisionMin: 0.85, reviewsMin: 100 },
  suspend_key: { precisionMin: 0.9, reviewsMin: 200 },
  suspend_organization: null,
};

/** Why something may be done at once. */
export type Ground =
  | { readonly kind: 'rule'; readonly rule: AbuseRule; readonly reviews: Reviews }
  /** Somebody showed us the key itself: there is no doubt, and no time. */
  | { readonly kind: 'leak_report'; readonly reportId: string }
  /** An emergency that a person answers for. */
  | { readonly kind: 'person'; readonly personId: string; readonly rung: Rung };

/** What is done now, and what is left for a person to decide. */
export interface Step {
  /** Null when nothing is: the rule is a dry run. */
  readonly act: Pick<Action, 'rung' | 'factor' | 'capabilities' | 'decidedBy'> | null;
  /** What the case proposes beyond that; null when everything was done, or when a person decided. */
  readonly propose: Rung | null;
  /** What the rule's precision allowed; for a leak or a person, what they took. */
  readonly allowed: Rung;
  /** The rule's precision, as measured; null where no rule decided. */
  readonly precision: Interval | null;
}

/**
 * The highest rung that reviews allow.
 * @returns `note` at least
 */
export function allowedRung(reviews: Reviews): Rung {
  const { lower } = precisionOf(reviews);
  const reviewed = reviews.confirmed + reviews.notConfirmed;
  let allowed: Rung = 'note';
  for (const rung of RUNGS) {
    const requirement = REQUIREMENTS[rung];
    if (requirement && lower >= requirement.precisionMin && reviewed >= requirement.reviewsMin) allowed = rung;
  }
  return allowed;
}

/** Confirmed reviews in a row that a rule needs, from none, before it may take a rung by itself; null for never. */
export function reviewsNeeded(rung: Rung): number | null {
  const requirement = REQUIREMENTS[rung];
  if (!requirement) return null;
  let confirmed = requirement.reviewsMin;
  while (precisionOf({ confirmed, notConfirmed: 0 }).lower < requirement.precisionMin) confirmed++;
  return confirmed;
}

/**
 * Decides how far something may go without a person: a rule no further than its measured precision allows, and no further than it
 * asks for. In between it takes the highest rung for which it says how (`factor`, `capabilities`), or else notes.
 */
export function decideStep(ground: Ground): Step {
  switch (ground.kind) {
    case 'leak_report':
      return {
        act: { rung: 'suspend_key', factor: null, capabilities: [], decidedBy: { kind: 'leak_report', id: ground.reportId } },
        propose: null,
        allowed: 'suspend_key',
        precision: null,
      };
    case 'person':
      return {
        act: { rung: ground.rung, factor: null, capabilities: [], decidedBy: { kind: 'person', id: ground.personId } },
        propose: null,
        allowed: ground.rung,
        precision: null,
      };
    case 'rule': {
      const { rule, reviews } = ground;
      const allowed = allowedRung(reviews);
      const precision = precisionOf(reviews);
      if (rule.dry_run) return { act: null, propose: rule.rung, allowed, precision };
      const rung = highestDoable(rule, allowed);
      return {
        act: {
          rung,
          factor: rung === 'slow' ? (rule.factor ?? null) : null,
          capabilities: rung === 'block_capability' ? (rule.capabilities ?? []) : [],
          decidedBy: { kind: 'rule', id: rule.id },
        },
        propose: rung === rule.rung ? null : rule.rung,
        allowed,
        precision,
      };
    }
  }
}

/** When what a rule does now ends. */
export function expiresAtMs(rule: AbuseRule, nowMs: number): number {
  return nowMs + durationMs(rule.expires);
}

/** The highest rung that is asked for, allowed, and of which the rule says how. */
function highestDoable(rule: AbuseRule, allowed: Rung): Rung {
  for (let at = Math.min(RUNGS.indexOf(rule.rung), RUNGS.indexOf(allowed)); at > 0; at--) {
    const rung = RUNGS[at] as Rung;
    if (rung === 'slow' && rule.factor === undefined) continue;
    if (rung === 'block_capability' && rule.capabilities === undefined) continue;
    // A rule about anything else has no key to suspend.
    if (rung === 'suspend_key' && rule.on !== 'key') continue;
    return rung;
  }
  return 'note';
}
