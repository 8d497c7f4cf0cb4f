import { expect, test } from 'vitest';
import { refusal, REFUSALS, type RefusalCode } from '#contracts/errors';
import type { Json } from '#contracts/prompt';
import { readErrorBody, writeErrorBody, writeErrorEvent, writeUpstreamErrorBody } from './errors.ts';

const parsed = (text: string) => JSON.parse(text) as Record<string, Record<string, unknown>>;

test.each<[RefusalCode, string, string, string]>([
  ['invalid_request', 'invalid_request_error', 'invalid_request_error', 'invalid_request'],
  ['unsupported_by_engine', 'invalid_request_error', 'invalid_request_error', 'unsupported_by_engine'],
  ['unauthenticated', 'authentication_error', 'authentication_error', 'invalid_api_key'],
  ['forbidden', 'permission_error', 'permission_error', 'forbidden'],
  ['model_not_found', 'not_found_error', 'not_found_error', 'model_not_found'],
  ['method_not_allowed', 'invalid_request_error', 'invalid_request_error', 'method_not_allowed'],
  ['request_too_large', 'request_too_large', 'request_too_large', 'request_too_large'],
  ['rate_limited', 'rate_limit_error', 'rate_limit_error', 'rate_limit_exceeded'],
  ['overloaded', 'overloaded_error', 'overloaded_error', 'overloaded'],
  ['upstream_timeout', 'timeout_error', 'timeout_error', 'upstream_timeout'],
  ['upstream_unreachable', 'api_error', 'server_error', 'upstream_unreachable'],
  ['no_replica', 'api_error', 'server_error', 'no_replica'],
  ['internal', 'api_error', 'server_error', 'internal'],
])('%s has its type in both families: %s and %s', (code, anthropicType, openaiType, openaiCode) => {
  const problem = refusal(code, 'Words.', { param: 'messages.0' });
  expect(parsed(writeErrorBody('anthropic', problem, 'req_1'))).toEqual({
    type: 'error',
    error: { type: anthropicType, message: 'Words.' },
    request_id: 'req_1',
  });
  const openai = { error: { message: 'Words.', type: openaiType, param: 'messages.0', code: openaiCode } };
  expect(parsed(writeErrorBody('openai_chat', problem, 'req_1'))).toEqual(openai);
  expect(parsed(writeErrorBody('openai_responses', problem, 'req_1'))).toEqual(openai);
});

test('every code has a body in every dialect, and reading it back gives its status and words', () => {
  for (const code of Object.keys(REFUSALS) as RefusalCode[])
    for (const dialect of ['anthropic', 'openai_chat', 'openai_responses'] as const) {
      const { status } = REFUSALS[code];
      const body = parsed(writeErrorBody(dialect, refusal(code, 'Words.'), 'req_1')) as Json;
      expect(readErrorBody(status, body)).toMatchObject({ status, message: 'Words.' });
    }
});

test('a broken stream ends in one event that clients of its dialect raise on', () => {
  const problem = refusal('upstream_broken', 'It broke.');
  expect(writeErrorEvent('anthropic', problem, 'req_1')).toBe(
    'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"It broke."},"request_id":"req_1"}\n\n',
  );
  expect(writeErrorEvent('openai_chat', problem, 'req_1')).toBe(
    'data: {"error":{"message":"It broke.","type":"server_error","param":null,"code":"upstream_broken"}}\n\n',
  );
  expect(writeErrorEvent('openai_responses', problem, 'req_1')).toBe(
    'event: error\ndata: {"type":"error","code":"upstream_broken","message":"It broke.","param":null,"sequence_number":0}\n\n',
  );
});

test.each<[string, number, Json | undefined, string, string]>([
  [
    'Anthropic',
    529,
    { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' }, request_id: 'r' },
    'overloaded_error',
    'Overloaded',
  ],
  [
    'OpenAI',
    401,
    { error: { message: 'No', type: 'invalid_request_error', param: null, code: 'invalid_api_key' } },
    'invalid_request_error',
    'No',
  ],
  ['vLLM', 400, { error: { message: 'No', type: 'BadRequestError', param: null, code: 400 } }, 'BadRequestError', 'No'],
  ['older vLLM', 404, { object: 'error', message: 'No', type: 'NotFoundError', param: null, code: 404 }, 'NotFoundError', 'No'],
  ['a proxy that answers in HTML', 502, undefined, 'api_error', 'The engine answered with status 502'],
  ['something else in JSON', 503, { detail: 'no' }, 'api_error', 'The engine answered with status 503'],
])('the error of %s is read', (_, status, body, type, message) => {
  expect(readErrorBody(status, body)).toEqual({ status, type, message });
});

test('an engine’s error is told in the words of the client’s dialect', () => {
  const error = { status: 429, type: 'tokens', message: 'Slow down' };
  expect(parsed(writeUpstreamErrorBody('anthropic', error, 'req_1')).error).toEqual({
    type: 'rate_limit_error',
    message: 'Slow down',
  });
  expect(parsed(writeUpstreamErrorBody('openai_chat', error, 'req_1')).error).toMatchObject({
    type: 'rate_limit_error',
    message: 'Slow down',
  });
});
