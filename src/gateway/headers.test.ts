import { expect, test } from 'vitest';
import { refusal } from '#contracts/errors';
import { requestIdHeaders, retryHeaders } from './headers.ts';

test('each family finds the request id where its clients look', () => {
  expect(requestIdHeaders({ dialect: 'anthropic', id: 'req_1' })).toEqual({ 'request-id': 'req_1' });
  expect(requestIdHeaders({ dialect: 'openai_responses', id: 'req_1' })).toEqual({ 'x-request-id': 'req_1' });
});

test.each([
  [0, '0', '0'],
  [1, '1', '1'],
  [1_500.2, '1501', '2'],
  [-5, '0', '0'],
  [9e9, '3600000', '3600'],
])('a wait of %d ms is told in whole ms and seconds, never more than an hour', (retryAfterMs, ms, seconds) => {
  expect(retryHeaders(refusal('overloaded', '', { retryAfterMs }))).toEqual({
    'x-should-retry': 'true',
    'retry-after-ms': ms,
    'retry-after': seconds,
  });
});

test('whether to retry comes from the table, unless the refusal knows better', () => {
  expect(retryHeaders(refusal('invalid_request', ''))).toEqual({ 'x-should-retry': 'false' });
  expect(retryHeaders(refusal('upstream_broken', '', { retry: false }))).toEqual({ 'x-should-retry': 'false' });
});
