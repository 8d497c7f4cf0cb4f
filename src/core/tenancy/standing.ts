import type { Action } from '#contracts/tenancy';

/** What the actions in force on a subject, and on everything above it, come to. */
export interface Standing {
  /** Every rate is multiplied by this, 0.01 to 1; the smallest of all wins. */
  readonly rateFactor: number;
  /** `model_class:<id>`, `model:<id>` or `tools`, each with the action that blocks it. */
  readonly blocked: ReadonlyMap<string, Action>;
  /** What the subject must do first is the operator's to say; null when nothing is asked. */
  readonly stepUp: Action | null;
  /** The suspension in force, an organization's before a key's; null when there is none. */
  readonly suspended: Action | null;
  /** Wall ms at which this no longer holds because something expires; Infinity when nothing does. */
  readonly untilMs: number;
}

/** The standing of whoever nothing was done about. */
export const GOOD_STANDING: Standing = {
  rateFactor: 1,
  blocked: new Map<string, Action>([]),
  stepUp: null,
  suspended: null,
  untilMs: Infinity,
};

/**
 * Whether an action holds at a time. One that was made in the future by this machine's clock holds: whoever made it has a clock
 * that is ahead, and a suspension may not wait for that.
 * @param nowMs - wall ms
 */
export function isInForce(action: Action, nowMs: number): boolean {
  return action.reversedAtMs === null && (action.expiresAtMs === null || nowMs < action.expiresAtMs);
}

/**
 * Joins actions into a standing; where several say the same kind of thing the strongest wins, and of equals the one that lasts
 * longest, so that the answer does not depend on their order.
 * @param actions - on the subject and on everything above it; those not in force at `nowMs` are passed over
 * @param nowMs - wall ms
 */
export function standingOf(actions: Iterable<Action>, nowMs: number): Standing {
  let rateFactor = 1;
  let stepUp: Action | null = null;
  let suspended: Action | null = null;
  let untilMs = Infinity;
  const blocked = new Map<string, Action>();
  let isGood = true;
  for (const action of actions) {
    if (!isInForce(action, nowMs) || action.rung === 'note') continue;
    isGood = false;
    untilMs = Math.min(untilMs, action.expiresAtMs ?? Infinity);
    if (action.rung === 'slow') rateFactor = Math.min(rateFactor, action.factor ?? 1);
    else if (action.rung === 'step_up') stepUp = stronger(stepUp, action);
    else if (action.rung === 'block_capability')
      for (const name of action.capabilities) blocked.set(name, stronger(blocked.get(name) ?? null, action));
    else suspended = stronger(suspended, action);
  }
  return isGood ? GOOD_STANDING : { rateFactor, blocked, stepUp, suspended, untilMs };
}

function stronger(one: Action | null, other: Action): Action {
  if (one === null) return other;
  const first = [rank(one), one.expiresAtMs ?? Infinity, one.id] as const;
  const second = [rank(other), other.expiresAtMs ?? Infinity, other.id] as const;
  for (const place of [0, 1, 2] as const) if (first[place] !== second[place]) return first[place] > second[place] ? one : other;
  return one;
}

const rank = (action: Action): number => (action.rung === 'suspend_organization' ? 1 : 0);
