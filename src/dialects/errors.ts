import type { AnswerError } from '#contracts/answer';
import { REFUSALS, type Refusal, type RefusalCode } from '#contracts/errors';
import type { Json, JsonObject } from '#contracts/prompt';
import type { Dialect } from '#contracts/record';
import { anthropicErrorStatus, anthropicErrorType, openaiErrorType, readOpenaiError } from './error-types.ts';
import { isObject, textOf } from './json.ts';

/** Where OpenAI's API has a word of its own for one of our codes, clients look for that one. */
const OPENAI_CODES: { readonly [code in RefusalCode]?: string } = {
  unauthenticated: 'invalid_api_key',
  rate_limited: 'rate_limit_exceeded',
  concurrency_limited: 'rate_limit_exceeded',
  growth_limited: 'rate_limit_exceeded',
  request_exceeds_limit: 'rate_limit_exceeded',
  spend_limited: 'insufficient_quota',
};

/**
 * The body of a refusal, as JSON text in the envelope of the client's dialect. Its status is `REFUSALS[refusal.code].status`.
 * @param requestId - our id of the request, as in the `request-id` header
 */
export function writeErrorBody(dialect: Dialect, refusal: Refusal, requestId: string): string {
  return JSON.stringify(
    dialect === 'anthropic'
      ? anthropicEnvelope(anthropicErrorType(REFUSALS[refusal.code].status), refusal.message, requestId)
      : { error: openaiError(refusal) },
  );
}

/**
 * The text of the one event that ends a broken stream. Anthropic's clients raise on an event named `error`; OpenAI's on a chunk
 * that holds an error, and no [DONE] may follow it; the Responses API has an event named `error`, and nothing after it.
 */
export function writeErrorEvent(dialect: Dialect, refusal: Refusal, requestId: string): string {
  switch (dialect) {
    case 'anthropic':
      return `event: error\ndata: ${writeErrorBody(dialect, refusal, requestId)}\n\n`;
    case 'openai_chat':
      return `data: ${writeErrorBody(dialect, refusal, requestId)}\n\n`;
    case 'openai_responses': {
      const { message, code, param } = openaiError(refusal);
      // Which number is next only the stream's own writer knows; a client that raises on the event looks at none.
      return `event: error\ndata: ${JSON.stringify({ type: 'error', code, message, param, sequence_number: 0 })}\n\n`;
    }
  }
}

/**
 * What an upstream says is wrong, from the body of an answer of status 400 or more, in either family's envelope.
 * @param status - the HTTP status it came with; it wins over what the body says
 * @param body - the parsed body, undefined when it was not JSON
 */
export function readErrorBody(status: number, body: Json | undefined): AnswerError {
  const error = isObject(body) ? readEnvelope(body) : null;
  if (error === null) return { status, type: anthropicErrorType(status), message: `The engine answered with status ${status}` };
  return { ...error, status };
}

/** An upstream's error in the envelope of the client's dialect, as JSON text. */
export function writeUpstreamErrorBody(dialect: Dialect, error: AnswerError, requestId: string): string {
  const { status, message } = error;
  return JSON.stringify(
    dialect === 'anthropic'
      ? anthropicEnvelope(anthropicErrorType(status), message, requestId)
      : { error: { message, type: openaiErrorType(status), param: null, code: null } },
  );
}

function readEnvelope(body: JsonObject): AnswerError | null {
  const { error } = body;
  if (body.type !== 'error' || !isObject(error)) return readOpenaiError(body);
  const type = textOf(error.type);
  return { status: anthropicErrorStatus(type), type, message: textOf(error.message) };
}

function anthropicEnvelope(type: string, message: string, requestId: string): JsonObject {
  return { type: 'error', error: { type, message }, request_id: requestId };
}

function openaiError({ code, message, param }: Refusal): JsonObject {
  return {
    message,
    type: openaiErrorType(REFUSALS[code].status),
    param: param ?? null,
    code: OPENAI_CODES[code] ?? code,
  };
}
