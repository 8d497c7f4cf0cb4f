import type { AnswerError } from '#contracts/answer';
import type { JsonObject } from '#contracts/prompt';
import { isObject, lookUp, textOf } from './json.ts';

/**
 * Anthropic's error types, by status. Source: platform.claude.com/docs/en/api/errors.
 * @param status - an HTTP status of 400 to 599
 */
export function anthropicErrorType(status: number): string {
  return lookUp(ANTHROPIC_TYPES, String(status)) ?? (status >= 500 ? 'api_error' : 'invalid_request_error');
}

/** The HTTP status that Anthropic gives errors of `type`; 500 for a type we do not know. */
export function anthropicErrorStatus(type: string): number {
  const entry = Object.entries(ANTHROPIC_TYPES).find(([, candidate]) => candidate === type);
  return entry === undefined ? 500 : Number(entry[0]);
}

const ANTHROPIC_TYPES: Readonly<Record<string, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  409: 'conflict_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  500: 'api_error',
  504: 'timeout_error',
  529: 'overloaded_error',
};

/**
 * OpenAI's error types, by status. The API itself has no full table and clients go by the status; where it has a word, this is it,
 * and where it has none, Anthropic's is taken, so that a status survives in a stream, where there is no other place for it.
 * @param status - an HTTP status of 400 to 599
 */
export function openaiErrorType(status: number): string {
  if (status === 402) return 'insufficient_quota';
  if (status === 500 || (status > 500 && status !== 504 && status !== 529)) return 'server_error';
  return anthropicErrorType(status);
}

/** What servers of OpenAI's dialect call their errors in `type` or `code`, and the status each stands for. */
const OPENAI_STATUSES: Readonly<Record<string, number>> = {
  insufficient_quota: 429,
  rate_limit_exceeded: 429,
  requests: 429,
  tokens: 429,
  invalid_api_key: 401,
  model_not_found: 404,
  context_length_exceeded: 400,
  server_error: 500,
  service_unavailable: 503,
  // vLLM and SGLang name them after Python's exceptions.
  BadRequestError: 400,
  NotFoundError: 404,
  InternalServerError: 500,
  internal_server_error: 500,
};

/**
 * The error in a body or chunk of OpenAI's dialect, null when it is none. Known shapes: OpenAI's `{"error":{message,type,code}}`
 * (vLLM puts the status into `code`), Ollama's `{"error":"words"}`, the older vLLM's `{"object":"error",message,type,code}`.
 * @param name - the SSE event's name, empty outside a stream
 */
export function readOpenaiError(body: JsonObject, name = ''): AnswerError | null {
  const { error } = body;
  if (typeof error === 'string') return { status: 500, type: 'server_error', message: error };
  if (isObject(error)) return readFields(error);
  return body.object === 'error' || name === 'error' ? readFields(body) : null;
}

function readFields({ code, type, status, message }: JsonObject): AnswerError {
  const word = textOf(type);
  const said = [code, status].find(
    (value) => typeof value === 'number' && Number.isInteger(value) && value >= 400 && value <= 599,
  );
  return {
    status:
      typeof said === 'number'
        ? said
        : (lookUp(OPENAI_STATUSES, textOf(code)) ?? lookUp(OPENAI_STATUSES, word) ?? anthropicErrorStatus(word)),
    type: word === '' ? 'server_error' : word,
    message: textOf(message),
  };
}

/** An error as a body or chunk of OpenAI's dialect. */
export function writeOpenaiError({ status, message }: AnswerError): JsonObject {
  return { error: { message, type: openaiErrorType(status), param: null, code: null } };
}
