/**
 * Every code a caller can see, once. Codes are documented in docs/errors.md, are never reused, and map to each dialect's own
 * error type. `fault` says whose it is (it decides what counts as ill health), `retry` what `x-should-retry` tells the client.
 * Sources: platform.claude.com/docs/en/api/errors; platform.openai.com/docs/guides/error-codes.
 */
export const REFUSALS = {
  // receive
  invalid_request: { status: 400, fault: 'caller', retry: false },
  unsupported_by_engine: { status: 400, fault: 'caller', retry: false },
  unsupported_encoding: { status: 400, fault: 'caller', retry: false },
  conflicting_conversation: { status: 400, fault: 'caller', retry: false },
  bad_framing: { status: 400, fault: 'caller', retry: false },
  not_found: { status: 404, fault: 'caller', retry: false },
  method_not_allowed: { status: 405, fault: 'caller', retry: false },
  request_timeout: { status: 408, fault: 'caller', retry: true },
  request_too_large: { status: 413, fault: 'caller', retry: false },
  headers_too_large: { status: 431, fault: 'caller', retry: false },
  // authenticate
  unauthenticated: { status: 401, fault: 'caller', retry: false },
  forbidden: { status: 403, fault: 'caller', retry: false },
  suspended: { status: 403, fault: 'caller', retry: false },
  capability_blocked: { status: 403, fault: 'caller', retry: false },
  step_up_required: { status: 403, fault: 'caller', retry: false },
  tenants_unknown: { status: 503, fault: 'gateway', retry: true },
  // admit
  rate_limited: { status: 429, fault: 'caller', retry: true },
  concurrency_limited: { status: 429, fault: 'caller', retry: true },
  growth_limited: { status: 429, fault: 'caller', retry: true },
  request_exceeds_limit: { status: 429, fault: 'caller', retry: false },
  spend_limited: { status: 402, fault: 'caller', retry: false },
  limits_unavailable: { status: 503, fault: 'gateway', retry: true },
  unrecordable: { status: 503, fault: 'gateway', retry: true },
  overloaded: { status: 529, fault: 'gateway', retry: true },
  shutting_down: { status: 503, fault: 'gateway', retry: true },
  // place and attempt
  model_not_found: { status: 404, fault: 'caller', retry: false },
  no_replica: { status: 503, fault: 'upstream', retry: true },
  upstream_busy: { status: 529, fault: 'upstream', retry: true },
  upstream_unreachable: { status: 502, fault: 'upstream', retry: true },
  upstream_broken: { status: 502, fault: 'upstream', retry: true },
  upstream_rejected: { status: 502, fault: 'upstream', retry: false },
  upstream_timeout: { status: 504, fault: 'upstream', retry: true },
  deadline_exceeded: { status: 504, fault: 'upstream', retry: false },
  // the way out
  client_gone: { status: 499, fault: 'caller', retry: false },
  internal: { status: 500, fault: 'gateway', retry: true },
} as const satisfies Record<string, RefusalRow>;

interface RefusalRow {
  readonly status: number;
  readonly fault: 'caller' | 'gateway' | 'upstream';
  readonly retry: boolean;
}

export type RefusalCode = keyof typeof REFUSALS;

/** A request that will not be answered: why, in words safe to show (no secret, prompt or completion), and when to come back. */
export interface Refusal {
  readonly code: RefusalCode;
  readonly message: string;
  /** Which request field or header is at fault, as a path (`messages.0.content`), where one is. */
  readonly param?: string;
  /** Milliseconds after which the same request may be sent again, 0 to 3,600,000. */
  readonly retryAfterMs?: number;
  /** Overrides the table's answer to "should the client retry". */
  readonly retry?: boolean;
}

/** Builds a {@link Refusal}. */
export function refusal(code: RefusalCode, message: string, more: Omit<Refusal, 'code' | 'message'> = {}): Refusal {
  return { code, message, ...more };
}
