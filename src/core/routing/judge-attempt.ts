import { refusal, type Refusal } from '#contracts/errors';
import type { AttemptOutcome } from '#contracts/record';

/** What came of one attempt, as far as routing cares. */
export type AttemptFact =
  /** A status and a body came, whole. */
  | { readonly kind: 'status'; readonly status: number; readonly retryAfterMs: number | null }
  /** An error event came after the 200 and before the first content. */
  | { readonly kind: 'error_event'; readonly status: number }
  /** No connection was made: the replica has seen nothing of the request. */
  | { readonly kind: 'not_sent'; readonly isSaturated: boolean }
  | { readonly kind: 'broken' }
  | { readonly kind: 'too_large' }
  | { readonly kind: 'silent' };

export interface AttemptVerdict {
  readonly outcome: AttemptOutcome;
  /**
   * `answer`: pass the body on. `pass_error`: the error is the caller's own; pass it on. `move_on`: try elsewhere, out of the
   * retry budget. `move_on_free`: try elsewhere; nothing was sent, so nothing is amplified. `stop`: no other replica would help.
   */
  readonly next: 'answer' | 'pass_error' | 'move_on' | 'move_on_free' | 'stop';
  /** How long the replica gets no new work, ms; 0 for not at all. */
  readonly pauseMs: number;
  /** What the client is told when this was the last attempt; null with `answer` and `pass_error`. */
  readonly refusal: Refusal | null;
}

const PAUSE_MS_DEFAULT = 1_000;
/** No answer of a replica takes it out for longer than this, whatever its `retry-after` says. */
const PAUSE_MS_MAX = 60_000;

/**
 * Decides what an attempt means for its request and for its replica. 429 and 529 are backpressure, not ill health; a 401 or 403
 * concerns the operator's credential and is never shown as the client's own; other 4xx are between the client and the engine.
 */
export function judgeAttempt(fact: AttemptFact): AttemptVerdict {
  switch (fact.kind) {
    case 'status':
      return judgeStatus(fact.status, fact.retryAfterMs);
    case 'error_event':
      if (isBackpressure(fact.status)) return busy(null);
      return broken('The model failed before it began to answer');
    case 'not_sent': {
      const verdict = { outcome: 'unreachable', next: 'move_on_free' } as const;
      return fact.isSaturated
        ? {
            ...verdict,
            pauseMs: 0,
            refusal: refusal('upstream_busy', 'All connections to the model are in use', { retryAfterMs: PAUSE_MS_DEFAULT }),
          }
        : {
            ...verdict,
            pauseMs: PAUSE_MS_DEFAULT,
            refusal: refusal('upstream_unreachable', 'The model could not be reached', { retryAfterMs: PAUSE_MS_DEFAULT }),
          };
    }
    case 'broken':
      return broken('The connection to the model broke before it answered');
    case 'too_large':
      return {
        outcome: 'failed_before_answer',
        next: 'stop',
        pauseMs: 0,
        refusal: refusal('upstream_broken', 'The answer is larger than this gateway passes on', { retry: false }),
      };
    case 'silent':
      return {
        outcome: 'timed_out',
        next: 'move_on',
        pauseMs: 0,
        refusal: refusal('upstream_timeout', 'The model did not begin to answer in time'),
      };
  }
}

function judgeStatus(status: number, retryAfterMs: number | null): AttemptVerdict {
  if (status === 200) return { outcome: 'answered', next: 'answer', pauseMs: 0, refusal: null };
  if (isBackpressure(status) || (status === 503 && retryAfterMs !== null)) return busy(retryAfterMs);
  if (status === 401 || status === 402 || status === 403) {
    const told = refusal(
      'upstream_rejected',
      "The model's server refused the gateway's own credentials; the operator has to mend this",
    );
    return { outcome: 'failed_before_answer', next: 'move_on', pauseMs: 0, refusal: told };
  }
  if (status >= 400 && status < 500) return { outcome: 'refused_by_upstream', next: 'pass_error', pauseMs: 0, refusal: null };
  return broken('The model failed before it began to answer');
}

const isBackpressure = (status: number): boolean => status === 429 || status === 529;

function busy(retryAfterMs: number | null): AttemptVerdict {
  const pauseMs = Math.min(Math.max(retryAfterMs ?? PAUSE_MS_DEFAULT, 1), PAUSE_MS_MAX);
  return {
    outcome: 'backpressure',
    next: 'move_on',
    pauseMs,
    refusal: refusal('upstream_busy', 'The model is overloaded; try again shortly', { retryAfterMs: pauseMs }),
  };
}

function broken(message: string): AttemptVerdict {
  return { outcome: 'failed_before_answer', next: 'move_on', pauseMs: 0, refusal: refusal('upstream_broken', message) };
}

/**
 * The wait that `retry-after-ms` or `retry-after` (seconds, or an HTTP date) asks for.
 * @param nowMs - wall ms since 1970, for dates
 * @param parseDate - an HTTP date to wall ms, NaN when it is none
 * @returns whole ms, 0 or more; null when nothing usable is said
 */
export function readRetryAfterMs(
  headers: { readonly ms: string | undefined; readonly seconds: string | undefined },
  nowMs: number,
  parseDate: (text: string) => number,
): number | null {
  const ms = number(headers.ms);
  if (ms !== null) return Math.ceil(ms);
  const seconds = number(headers.seconds);
  if (seconds !== null) return Math.ceil(seconds * 1000);
  const at = headers.seconds === undefined ? NaN : parseDate(headers.seconds);
  return Number.isFinite(at) ? Math.max(0, at - nowMs) : null;
}

function number(text: string | undefined): number | null {
  if (text === undefined || !/^\d+(\.\d+)?$/.test(text.trim())) return null;
  const value = Number(text);
  return Number.isFinite(value) ? value : null;
}
