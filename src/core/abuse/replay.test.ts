import { expect, test } from 'vitest';
import { type AbuseRule, abuseRuleSchema } from '#contracts/abuse';
import type { UsageRecord } from '#contracts/record';
import { createDraw } from '../simulation/seeded.ts';
import { DEFAULT_RULES } from './default-rules.ts';
import { wilson } from './precision.ts';
import { createReplay, UNRECORDED_SIGNALS } from './replay.ts';
import { isSignalOf, SIGNAL_NAMES } from './signal-names.ts';

const MINUTE = 60_000;
const START = 20_000 * 24 * 60 * MINUTE;
const OPTIONS = { seed: [1, 2] as const, subjectsMax: { organization: 64, key: 64, end_user: 64, address_block: 64 } };

const recordOf = (atMs: number, more: Partial<UsageRecord> = {}): UsageRecord => ({
  version: 1,
  id: 'req_1',
  atMs,
  organization: 'org_a',
  workspace: 'ws_a',
  key: 'key_a',
  endUser: null,
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
  tokens: { input: 10, cacheRead: 0, cacheWrite: 0, output: 10, estimated: false },
  costMicroUsd: 100,
  stagesUs: {},
  firstContentUs: null,
  durationUs: 1_000,
  requestBytes: 100,
  responseBytes: 100,
  guards: [],
  ...more,
});
const ruleOf = (when: string, more: object = {}): AbuseRule =>
  abuseRuleSchema.parse({ id: 'r', on: 'key', when, rung: 'slow', factor: 0.5, reason: 'refusal_mix', window: '1h', ...more });

/** 20 keys, of which two are refused most of the time. */
function traffic(minutes: number): UsageRecord[] {
  const draw = createDraw(2);
  const records: UsageRecord[] = [];
  for (let minute = 0; minute < minutes; minute++)
    for (let key = 0; key < 20; key++) {
      const isRefused = draw() < (key < 2 ? 0.9 : 0.02);
      records.push(
        recordOf(START + minute * MINUTE + key, { key: `key_${key}`, stopReason: isRefused ? 'refusal' : 'end_turn' }),
      );
    }
  return records;
}

test('a replay says on how many subjects a rule would have fired, how often, on what share of requests, and how sure that is', () => {
  const replay = createReplay([ruleOf('refusal_share - 2 * refusal_share_error > 0.5')], OPTIONS);
  for (const record of traffic(180)) replay.take(record);
  const { records, rules, late, evicted } = replay.report();
  expect({ records, late, evicted }).toEqual({ records: 3_600, late: 0, evicted: 0 });
  expect(rules[0]).toMatchObject({
    id: 'r',
    rung: 'slow',
    subjectsMeasured: 20,
    subjectsFired: 2,
    subjectsFiredShare: wilson(2, 20),
    requests: 3_600,
    notRecorded: [],
  });
  // Two keys for some two and a half hours of windows of an hour each, which begin again as they end.
  expect(rules[0]!.firings).toBe(6);
  expect(rules[0]!.requestsStruck).toBeGreaterThan(2 * 140);
  expect(rules[0]!.requestsStruckShare).toEqual(wilson(rules[0]!.requestsStruck, 3_600));
  // Before twenty requests nothing could be told.
  expect(rules[0]!.unmeasured).toBeGreaterThan(0);
  expect(rules[0]!.missing).toEqual({ refusal_share: rules[0]!.unmeasured });
});

test('a rule that reads what records do not carry is unmeasured in a replay, and the report names the signal', () => {
  const replay = createReplay(
    [ruleOf('distinct_networks > 1 || requests_seen > 0'), ruleOf('new_accounts > 0', { id: 'b', on: 'address_block' })],
    OPTIONS,
  );
  for (const record of traffic(60)) replay.take(record);
  const [networks, blocks] = replay.report().rules;
  expect(networks).toMatchObject({
    firings: 0,
    subjectsMeasured: 0,
    subjectsFiredShare: null,
    requestsStruckShare: null,
    notRecorded: ['distinct_networks'],
  });
  expect(networks!.unmeasured).toBe(networks!.judged);
  expect(networks!.judged).toBeGreaterThan(0);
  expect(blocks).toMatchObject({ judged: 0, requests: 0, notRecorded: ['new_accounts'] });
});

test('the list of what records do not carry is neither too long nor too short', () => {
  const when = (name: string, on: string): AbuseRule => ruleOf(`${name} >= -1`, { id: name, on });
  const rules = SIGNAL_NAMES.map((name) =>
    when(name, isSignalOf(name, 'key') ? 'key' : isSignalOf(name, 'organization') ? 'organization' : 'address_block'),
  );
  const replay = createReplay(rules, OPTIONS);
  for (let minute = 0; minute < 4 * 24 * 60 + 60; minute++) replay.take(recordOf(START + minute * MINUTE));
  const told = replay
    .report()
    .rules.filter(({ subjectsMeasured }) => subjectsMeasured > 0)
    .map(({ id }) => id);
  expect(told.toSorted()).toEqual(SIGNAL_NAMES.filter((name) => !UNRECORDED_SIGNALS.includes(name)).toSorted());
});

test('records out of order and with gaps of days are taken, and those that are late are counted', () => {
  const replay = createReplay(DEFAULT_RULES, OPTIONS);
  for (const at of [0, 10 * MINUTE, 5 * MINUTE, 9 * 24 * 60 * MINUTE, 10 * MINUTE]) replay.take(recordOf(START + at));
  expect(replay.report()).toMatchObject({ records: 5, late: 2, firstMs: START });
});

test('a replay of nothing says that nothing is known', () => {
  const report = createReplay(DEFAULT_RULES, OPTIONS).report();
  expect(report).toMatchObject({ records: 0, firstMs: null, lastMs: null });
  expect(report.rules.every(({ subjectsFiredShare }) => subjectsFiredShare === null)).toBe(true);
});
