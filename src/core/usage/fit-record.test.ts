import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { UsageRecord } from '#contracts/record';
import { fitRecord } from './fit-record.ts';

const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 3000 }), fc.constant('\u0001'.repeat(3000)));
const orNull = fc.option(text);
const records: fc.Arbitrary<UsageRecord> = fc.record({
  version: fc.constant(1 as const),
  id: fc.stringMatching(/^req_[a-z0-9]{24}$/),
  atMs: fc.maxSafeNat(),
  organization: orNull,
  workspace: orNull,
  key: orNull,
  endUser: orNull,
  conversation: orNull,
  dialect: fc.constant('openai_responses' as const),
  operation: fc.constant('chat_completions' as const),
  streamed: fc.boolean(),
  model: orNull,
  behavior: orNull,
  pool: orNull,
  region: orNull,
  attempts: fc.array(
    fc.record({
      replica: text,
      outcome: fc.constant('failed_before_answer' as const),
      status: fc.nat(599),
      upstreamRequestId: orNull,
      startUs: fc.maxSafeNat(),
      durationUs: fc.maxSafeNat(),
      firstContentUs: fc.option(fc.maxSafeNat()),
    }),
    { maxLength: 40 },
  ),
  outcome: fc.constant('answered' as const),
  status: fc.nat(599),
  code: fc.constant(null),
  stopReason: orNull,
  tokens: fc.record({
    input: fc.maxSafeNat(),
    cacheRead: fc.maxSafeNat(),
    cacheWrite: fc.maxSafeNat(),
    output: fc.maxSafeNat(),
    estimated: fc.boolean(),
  }),
  costMicroUsd: fc.option(fc.maxSafeNat()),
  stagesUs: fc.record({ receive: fc.maxSafeNat(), stream: fc.maxSafeNat() }),
  firstContentUs: fc.option(fc.maxSafeNat()),
  durationUs: fc.maxSafeNat(),
  requestBytes: fc.maxSafeNat(),
  responseBytes: fc.maxSafeNat(),
  guards: fc.array(fc.record({ guard: text, verdict: fc.constant('allow' as const) }), { maxLength: 40 }),
});

test('any record fits, and keeps its id, its tokens, its times and its end', () => {
  fc.assert(
    fc.property(records, (record) => {
      const json = fitRecord(record, 6144, Buffer.byteLength);
      expect(Buffer.byteLength(json)).toBeLessThanOrEqual(6144);
      const { id, tokens, atMs, durationUs, costMicroUsd, outcome, status } = record;
      expect(JSON.parse(json)).toMatchObject({ id, tokens, atMs, durationUs, costMicroUsd, outcome, status });
    }),
  );
});

test('a record that fits is not changed', () => {
  fc.assert(
    fc.property(records, (record) => {
      expect(fitRecord(record, 10_000_000, Buffer.byteLength)).toBe(JSON.stringify(record));
    }),
  );
});
