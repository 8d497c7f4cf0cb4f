import { refusal, type Refusal } from '#contracts/errors';
import type { Action } from '#contracts/tenancy';
import { meterAt, RATE_KINDS, type MeterGroup } from '#core/limits';
import type { LimitAnswer } from '#storage';

/** How long a client waits before it asks a store that is away again. */
const AWAY_RETRY_MS = 2_000;

const COUNTED = {
  requests: 'requests',
  input_tokens: 'input tokens',
  output_tokens: 'output tokens',
  total_tokens: 'tokens',
  spend: 'micro-dollars',
  concurrency: 'requests at once',
  batch_queue: 'requests in batches',
} as const;

/** A refusal by a limit: names the limit, its subject, what it allows, and the wait, which is exact where time alone refills it. */
export function refusalOfLimit(groups: readonly MeterGroup[], answer: LimitAnswer): Refusal {
  const { group, rule, rate } = meterAt(groups, answer.refusedBy);
  const what = `${rate.limit} ${COUNTED[rule.measure]}${windowWords(rate)}`;
  const where = `limit ${rule.id} of ${group.scope.id} ${group.subject}: ${what}`;
  if (answer.by === 'closed')
    return refusal(
      'limits_unavailable',
      `The store of limits does not answer, and ${rule.id} does not let anything pass unseen`,
      {
        retryAfterMs: AWAY_RETRY_MS,
      },
    );
  if (rule.measure === 'concurrency' || rule.measure === 'batch_queue')
    return refusal('concurrency_limited', `All places are taken by open requests (${where})`, {
      retryAfterMs: waitMs(answer.waitUs),
      ...(rate.limit === 0 ? { retry: false } : {}),
    });
  if (rate.kind === RATE_KINDS.day || rate.kind === RATE_KINDS.month)
    return refusal(
      rule.measure === 'spend' ? 'spend_limited' : 'rate_limited',
      `Used up until the calendar begins anew (${where})`,
      {
        retryAfterMs: waitMs(answer.waitUs),
        retry: false,
      },
    );
  if (answer.waitUs === Infinity)
    return refusal('request_exceeds_limit', `This request alone is more than is ever allowed at once (${where})`, {
      retryAfterMs: waitMs(answer.waitUs),
    });
  return refusal('rate_limited', `Used up; enough is back in ${(answer.waitUs / 1e6).toFixed(3)} s (${where})`, {
    retryAfterMs: waitMs(answer.waitUs),
  });
}

/** A stream that has used a limit up, and was asked for with a hard stop. */
export function refusalOfHardStop(groups: readonly MeterGroup[], place: number): Refusal {
  const { group, rule } = meterAt(groups, place);
  return refusal('rate_limited', `The answer ends here: limit ${rule.id} of ${group.scope.id} ${group.subject} is used up`);
}

const windowWords = ({ kind, windowUs }: { readonly kind: number; readonly windowUs: number }): string => {
  if (kind === RATE_KINDS.day) return ' a day';
  if (kind === RATE_KINDS.month) return ' a month';
  return kind === RATE_KINDS.rate ? ` in ${windowUs / 1e6} s` : '';
};

/** Upward to the millisecond; what never comes is the longest that a client is ever told. */
const waitMs = (waitUs: number): number => (waitUs === Infinity ? Number.MAX_SAFE_INTEGER : Math.ceil(waitUs / 1000));

/** What a client is told of an action against it: what, why, until when, and where to object. Never less than the truth. */
export function refusalOfAction(
  action: Action,
  code: 'suspended' | 'capability_blocked' | 'step_up_required',
  appealUrl: string | null,
): Refusal {
  const what =
    code === 'suspended'
      ? `This ${action.rung === 'suspend_organization' ? 'organization' : 'key'} is suspended`
      : code === 'step_up_required'
        ? 'This caller must confirm who it is first'
        : 'This is blocked for the caller';
  const until = action.expiresAtMs === null ? 'until it is lifted' : `until ${new Date(action.expiresAtMs).toISOString()}`;
  const appeal = appealUrl === null ? 'through POST /admin/v1/appeals' : `at ${appealUrl}`;
  return refusal(code, `${what} (reason: ${action.reason}; ${until}; action ${action.id}). Appeal ${appeal}.`);
}
