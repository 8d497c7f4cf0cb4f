import type { Dialect } from '#contracts/record';
import type { LimitView, TightestLimits } from '#core/limits';

/**
 * What a client is told of its limits, in the headers that its SDK's users read.
 * Sources: platform.claude.com/docs/en/api/rate-limits (reset in RFC 3339; tokens left rounded to thousands; `tokens` is the
 * tightest of all); platform.openai.com/docs/guides/rate-limits (reset as a duration such as `6m0s`).
 * @param wallMs - now
 */
export function rateHeaders(dialect: Dialect, limits: TightestLimits, wallMs: number): Record<string, string> {
  const headers: Record<string, string> = {};
  if (dialect === 'anthropic') {
    anthropic(headers, 'requests', limits.requests, wallMs);
    anthropic(headers, 'tokens', limits.tokens, wallMs);
    anthropic(headers, 'input-tokens', limits.inputTokens, wallMs);
    anthropic(headers, 'output-tokens', limits.outputTokens, wallMs);
  } else {
    openAi(headers, 'requests', limits.requests);
    openAi(headers, 'tokens', limits.tokens);
  }
  return headers;
}

function anthropic(headers: Record<string, string>, kind: string, view: LimitView | null, wallMs: number): void {
  if (view === null) return;
  const name = `anthropic-ratelimit-${kind}`;
  headers[`${name}-limit`] = String(view.limit);
  headers[`${name}-remaining`] = String(kind === 'requests' ? view.remaining : inThousands(view));
  if (view.fullInUs !== null) headers[`${name}-reset`] = rfc3339(wallMs + view.fullInUs / 1000);
}

function openAi(headers: Record<string, string>, kind: string, view: LimitView | null): void {
  if (view === null) return;
  headers[`x-ratelimit-limit-${kind}`] = String(view.limit);
  headers[`x-ratelimit-remaining-${kind}`] = String(view.remaining);
  if (view.fullInUs !== null) headers[`x-ratelimit-reset-${kind}`] = duration(view.fullInUs / 1000);
}

/** Down, so that nobody is promised what is not there; a limit too small for thousands is told as it is. */
const inThousands = ({ limit, remaining }: LimitView): number =>
  limit >= 10_000 ? Math.floor(remaining / 1000) * 1000 : remaining;

/** To the second, upward. */
const rfc3339 = (ms: number): string => `${new Date(Math.ceil(ms / 1000) * 1000).toISOString().slice(0, 19)}Z`;

/** As Go writes durations: `12ms`, `1.5s`, `6m0s`, `1h0m0s`. */
function duration(ms: number): string {
  const whole = Math.ceil(ms);
  if (whole < 1000) return `${whole}ms`;
  const seconds = (whole % 60_000) / 1000;
  const minutes = Math.floor(whole / 60_000);
  if (minutes === 0) return `${seconds}s`;
  return minutes < 60 ? `${minutes}m${seconds}s` : `${Math.floor(minutes / 60)}h${minutes % 60}m${seconds}s`;
}
