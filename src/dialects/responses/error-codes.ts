import type { AnswerError } from '#contracts/answer';
import type { Json, JsonObject } from '#contracts/prompt';
import { isObject } from '../json.ts';

/**
 * The codes of this dialect's failed responses and `error` events, and the HTTP status each would have had. The first code of a
 * status is the one that is written for it.
 * Source: openai 7.57, ResponseError; `server_is_overloaded`, `slow_down`, `insufficient_quota` and `context_length_exceeded` as
 * seen from the API, which has no codes of its own for the statuses in the second half.
 */
const STATUS_OF_CODE: ReadonlyMap<string, number> = new Map([
  ['server_error', 500],
  ['rate_limit_exceeded', 429],
  ['insufficient_quota', 429],
  ['server_is_overloaded', 529],
  ['slow_down', 503],
  ['invalid_prompt', 400],
  ['context_length_exceeded', 400],
  ['bio_policy', 400],
  ['misalignment_policy_violation', 400],
  ['data_residency_mismatch', 400],
  ['authentication_error', 401],
  ['billing_error', 402],
  ['permission_denied', 403],
  ['not_found', 404],
  ['request_timeout', 408],
  ['conflict', 409],
  ['request_too_large', 413],
  ['upstream_error', 502],
  ['upstream_timeout', 504],
]);

/** An error in this dialect's words: its own code when it has one, else the code of its status, else of its class. */
export function errorCode(error: AnswerError): string {
  if (STATUS_OF_CODE.get(error.type) === error.status) return error.type;
  const ofStatus = [...STATUS_OF_CODE].find(([, status]) => status === error.status);
  return ofStatus?.[0] ?? (error.status >= 400 && error.status < 500 ? 'invalid_prompt' : 'server_error');
}

/**
 * The error of a failed response or an `error` event.
 * @param value - `{code, message}`; the API itself is seen to wrap it as `{error: {type, code, message}}`, which its types do not say
 */
export function readError(value: Json | undefined): AnswerError {
  const outer = isObject(value) ? value : {};
  const error = isObject(outer.error) ? outer.error : outer;
  const type = text(error, 'code') ?? (error === outer ? undefined : text(error, 'type')) ?? 'server_error';
  const status = STATUS_OF_CODE.get(type) ?? (/^(invalid|image|unsupported|empty)_/.test(type) ? 400 : 500);
  return { status, type, message: text(error, 'message') ?? 'The engine failed and did not say why.' };
}

function text(object: JsonObject, key: string): string | undefined {
  const value = object[key];
  return typeof value === 'string' ? value : undefined;
}
