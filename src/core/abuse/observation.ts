import { REFUSALS, type RefusalCode } from '#contracts/errors';
import type { UsageRecord } from '#contracts/record';
import type { Address } from '../addresses/index.ts';

/**
 * How a finished request counts: `caller_error` was the caller's own mistake, `refused` the model or a screen would not, `limited`
 * was over a limit, `unauthenticated` had no key that we know, and `other` ended in a way that says nothing about the caller.
 */
export type ObservedOutcome = 'answered' | 'refused' | 'caller_error' | 'limited' | 'unauthenticated' | 'other';

/** One finished request, as abuse prevention sees it: ids, numbers and a keyed signature, never content. */
export interface Observation {
  readonly organization: string | null;
  readonly key: string | null;
  /** As records name it: hashed under its organization. */
  readonly endUser: string | null;
  /** From the socket, or from a proxy that the configuration names; null where nobody knows. */
  readonly address: Address | null;
  readonly model: string | null;
  readonly outcome: ObservedOutcome;
  readonly tokens: number;
  /** Micro-dollars; null when the model has no price. */
  readonly costMicroUsd: number | null;
  readonly durationMs: number;
  /** From a `TextSketcher`, of what the client last wrote; null when it was not sketched or too short to tell. */
  readonly template: ArrayLike<number> | null;
  /** Whether one of its limits had less than a fifth left; null when that was not looked at. */
  readonly isNearLimit: boolean | null;
}

/** What a usage record does not carry. */
export type Unrecorded = Pick<Observation, 'address' | 'template' | 'isNearLimit'>;

/** An observation of a record alone: what records do not carry is not known. */
export const NOT_RECORDED: Unrecorded = { address: null, template: null, isNearLimit: null };

/** The observation that a finished request's record gives, with what the gateway knew besides. */
export function observationOf(record: UsageRecord, { address, template, isNearLimit }: Unrecorded = NOT_RECORDED): Observation {
  const { tokens } = record;
  return {
    organization: record.organization,
    key: record.key,
    endUser: record.endUser,
    address,
    model: record.model,
    outcome: outcomeOf(record),
    tokens: tokens.input + tokens.cacheRead + tokens.cacheWrite + tokens.output,
    costMicroUsd: record.costMicroUsd,
    durationMs: Math.round(record.durationUs / 1_000),
    template,
    isNearLimit,
  };
}

/** What an action in force answers: to count it would make an action its own reason. */
const OWN_DOING: readonly (RefusalCode | null)[] = ['suspended', 'capability_blocked', 'step_up_required'];
/** Stop reasons of the three dialects by which a model says that it would not. */
const REFUSING = ['refusal', 'content_filter'];

function outcomeOf({ outcome, status, code, stopReason, guards }: UsageRecord): ObservedOutcome {
  if (guards.some(({ verdict }) => verdict === 'refuse')) return 'refused';
  switch (outcome) {
    case 'answered':
      return stopReason !== null && REFUSING.includes(stopReason) ? 'refused' : 'answered';
    case 'refused_by_upstream':
      return 'caller_error';
    case 'refused':
      if (code === 'unauthenticated') return 'unauthenticated';
      if (code === null || REFUSALS[code].fault !== 'caller' || OWN_DOING.includes(code)) return 'other';
      return status === 429 || status === 402 ? 'limited' : 'caller_error';
    default:
      return 'other';
  }
}
