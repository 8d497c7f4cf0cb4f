import { expect, test } from 'vitest';
import type { UsageRecord } from '#contracts/record';
import { observationOf } from './observation.ts';

const RECORD: UsageRecord = {
  version: 1,
  id: 'req_1',
  atMs: 5,
  organization: 'org_a',
  workspace: 'ws_a',
  key: 'key_a',
  endUser: 'eu_a',
  conversation: null,
  dialect: 'anthropic',
  operation: 'messages',
  streamed: false,
  model: 'm',
  behavior: null,
  pool: null,
  region: null,
  attempts: [],
  outcome: 'answered',
  status: 200,
  code: null,
  stopReason: 'end_turn',
  tokens: { input: 1, cacheRead: 20, cacheWrite: 300, output: 4_000, estimated: false },
  costMicroUsd: null,
  stagesUs: {},
  firstContentUs: null,
  durationUs: 1_499_600,
  requestBytes: 0,
  responseBytes: 0,
  guards: [],
};

test.each([
  ['answered', {}],
  ['refused', { stopReason: 'refusal' }],
  ['refused', { stopReason: 'content_filter' }],
  ['refused', { outcome: 'refused', status: 400, code: 'invalid_request', guards: [{ guard: 'g', verdict: 'refuse' }] }],
  ['caller_error', { outcome: 'refused', status: 400, code: 'invalid_request' }],
  ['caller_error', { outcome: 'refused', status: 403, code: 'forbidden' }],
  ['caller_error', { outcome: 'refused_by_upstream', status: 400 }],
  ['limited', { outcome: 'refused', status: 429, code: 'rate_limited' }],
  ['limited', { outcome: 'refused', status: 429, code: 'concurrency_limited' }],
  ['limited', { outcome: 'refused', status: 402, code: 'spend_limited' }],
  ['other', { outcome: 'refused', status: 403, code: 'suspended' }],
  ['other', { outcome: 'refused', status: 403, code: 'step_up_required' }],
  ['unauthenticated', { outcome: 'refused', status: 401, code: 'unauthenticated', key: null }],
  ['other', { outcome: 'refused', status: 529, code: 'overloaded' }],
  ['other', { outcome: 'failed', status: 502, code: 'upstream_broken' }],
  ['other', { outcome: 'client_gone', status: 499, code: 'client_gone' }],
] as const)('a request counts as %s (%j)', (outcome, more) => {
  expect(observationOf({ ...RECORD, ...more }).outcome).toBe(outcome);
});

test('an observation holds ids and numbers of a record, and what it does not carry is not known', () => {
  expect(observationOf(RECORD)).toEqual({
    organization: 'org_a',
    key: 'key_a',
    endUser: 'eu_a',
    address: null,
    model: 'm',
    outcome: 'answered',
    tokens: 4_321,
    costMicroUsd: null,
    durationMs: 1_500,
    template: null,
    isNearLimit: null,
  });
});
