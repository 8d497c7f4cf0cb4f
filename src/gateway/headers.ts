import type { Refusal } from '#contracts/errors';
import { REFUSALS } from '#contracts/errors';
import type { Life } from './life.ts';

/** Anthropic's clients read `request-id`, OpenAI's `x-request-id`. */
export function requestIdHeaders({ dialect, id }: Pick<Life, 'dialect' | 'id'>): Record<string, string> {
  return dialect === 'anthropic' ? { 'request-id': id } : { 'x-request-id': id };
}

/** The head of a streamed answer. */
export function streamHeaders(life: Life): Record<string, string> {
  return {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    'x-accel-buffering': 'no', // nginx in front of us must not gather events
    ...requestIdHeaders(life),
    ...life.limitHeaders,
  };
}

/** No client is told to wait longer: SDKs obey without a cap of their own. */
const RETRY_AFTER_MS_MAX = 3_600_000;

/** What a refusal tells clients about trying again, in the headers that both SDKs obey. */
export function retryHeaders({ code, retry, retryAfterMs }: Refusal): Record<string, string> {
  const headers: Record<string, string> = { 'x-should-retry': String(retry ?? REFUSALS[code].retry) };
  if (retryAfterMs !== undefined) {
    const bounded = Math.min(Math.max(0, Math.ceil(retryAfterMs)), RETRY_AFTER_MS_MAX);
    headers['retry-after-ms'] = String(bounded);
    headers['retry-after'] = String(Math.ceil(bounded / 1000));
  }
  return headers;
}
