import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { abuseSchema } from '#contracts/abuse';
import type { UsageRecord } from '#contracts/record';
import { createVirtualClock, type VirtualClock } from '#runtime';
import { type ControlStore, openControlStore } from '#storage';
import { type AbuseEvent, type AbuseWatch, createAbuseWatch, type Seen } from './abuse-watch.ts';
import { BadAbuseRules } from './rules-in-force.ts';

let directory: string;
let store: ControlStore;
beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'plimsoll-watch-'));
  store = await openControlStore({ kind: 'embedded', directory: path.join(directory, 'store') });
});
afterAll(async () => {
  await store.close();
  rmSync(directory, { recursive: true });
});

const MINUTE = 60_000;
const UNSEEN: Seen = { address: null, isNearLimit: null, tail: null };

function watchOf(config: object): { watch: AbuseWatch; clock: VirtualClock; events: AbuseEvent[] } {
  const clock = createVirtualClock();
  const events: AbuseEvent[] = [];
  const watch = createAbuseWatch({
    config: abuseSchema.parse({ default_rules: false, ...config }),
    clock,
    store,
    seed: [1, 2],
    onCommitted: () => undefined,
    onEvent: (event) => events.push(event),
  });
  onTestFinished(() => watch.close());
  return { watch, clock, events };
}

const recordOf = (more: Partial<UsageRecord> = {}): UsageRecord => ({
  version: 1,
  id: 'req_1',
  atMs: 0,
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
const ruleOf = (more: object): object => ({ id: 'r', on: 'key', when: 'true', rung: 'note', reason: 'near_limit', ...more });

test('a request is only taken in when it ends; what finds no room is counted, and the rest is counted afterwards', async () => {
  const { watch, clock } = watchOf({});
  for (let at = 0; at < 5_000; at++) watch.observe(recordOf(), UNSEEN);
  expect(watch.status()).toMatchObject({ waitingToCount: 4_096, notCounted: 904, subjects: { key: { subjects: 0 } } });
  await clock.advance(1);
  expect(watch.status()).toMatchObject({ waitingToCount: 0, defects: 0 });
  expect(watch.signals({ kind: 'key', id: 'key_a' })?.values.requests_seen).toBe(4_096);
});

test('texts are sketched within a budget, and those whose turn it was not are counted', async () => {
  const { watch, clock } = watchOf({});
  const tail = Buffer.from('"draw the mark where all can see it"');
  for (let at = 0; at < 600; at++) watch.observe(recordOf(), { ...UNSEEN, tail });
  await clock.advance(1);
  expect(watch.status()).toMatchObject({ sketched: 500, notSketched: 100 });
  await clock.advance(1_000);
  for (let at = 0; at < 100; at++) watch.observe(recordOf(), { ...UNSEEN, tail });
  await clock.advance(1);
  expect(watch.status()).toMatchObject({ sketched: 600, notSketched: 100 });
});

test('a record that no signal can be made of is a defect that is said once, and costs nobody else anything', async () => {
  const { watch, clock, events } = watchOf({});
  const broken = { ...recordOf(), outcome: 'refused', code: 'no_such_code' } as unknown as UsageRecord;
  for (const record of [broken, recordOf(), broken, recordOf()]) watch.observe(record, UNSEEN);
  await clock.advance(1);
  expect(watch.status().defects).toBe(2);
  expect(events).toMatchObject([{ level: 'error' }]);
  expect(watch.signals({ kind: 'key', id: 'key_a' })?.values.requests_seen).toBe(2);
});

test('strangers count for their network, and its case is kept by the installation, whoever else came from there', async () => {
  const rule = ruleOf({
    id: 'stuffing',
    on: 'address_block',
    when: 'failed_authentications_hour >= 3',
    reason: 'credential_stuffing',
  });
  const { watch, clock } = watchOf({ rules: [rule] });
  const stranger = recordOf({
    organization: null,
    workspace: null,
    key: null,
    outcome: 'refused',
    code: 'unauthenticated',
    status: 401,
  });
  for (const record of [stranger, stranger, stranger]) watch.observe(record, { ...UNSEEN, address: '192.0.2.7' });
  await clock.advance(1);
  clock.stepWall(MINUTE);
  watch.observe(recordOf(), { ...UNSEEN, address: '192.0.2.9' });
  await clock.advance(1);
  // The store really takes time.
  while (watch.status().waiting > 0) await new Promise((resolve) => setImmediate(resolve));
  const found = await store.list({ kind: 'case', organization: 'org_first', after: null, max: 10 });
  expect(found.map(({ object }) => object)).toMatchObject([
    { rule: 'stuffing', subject: { kind: 'address_block', id: '192.0.2.0/24' }, signals: { failed_authentications_hour: 3 } },
  ]);
});

test('rules that cannot be meant keep a gateway from starting, and a running one keeps the rules it has', async () => {
  const bad = { rules: [ruleOf({ when: 'request_seen > 1' })] };
  expect(() => watchOf(bad)).toThrow(/r names request_seen, which is no signal of key: did you mean requests_seen/);
  const { watch, clock, events } = watchOf({ rules: [ruleOf({ id: 'kept' })] });
  expect(() => watch.replace(abuseSchema.parse(bad))).toThrow(BadAbuseRules);
  expect(watch.status().rules.map(({ id }) => id)).toEqual(['kept']);
  watch.replace(abuseSchema.parse({ rules: [ruleOf({ id: 'spend-spike' })], false_alarms_per_day: 3 }));
  const ids = watch.status().rules.map(({ id }) => id);
  // A rule of the operator's stands in the place of a shipped one of the same name.
  expect(ids.filter((id) => id === 'spend-spike')).toHaveLength(1);
  expect(ids).toContain('velocity-change');
  expect(events).toEqual([{ level: 'warn', message: 'abuse.false_alarms_per_day changes only with a restart' }]);
  await clock.advance(1);
});

test('counts of a rule go on over a reload that leaves it as it is, and begin anew when it changed', async () => {
  const rules = [ruleOf({ id: 'same', when: 'error_share > 0.5' }), ruleOf({ id: 'changed', when: 'false' })];
  const { watch, clock } = watchOf({ rules });
  for (let at = 0; at < 64; at++) watch.observe(recordOf({ key: 'key_b', costMicroUsd: null }), UNSEEN);
  await clock.advance(1);
  const counts = (): object => Object.fromEntries(watch.status().rules.map(({ id, judged }) => [id, judged]));
  expect(counts()).toEqual({ same: 1, changed: 1 });
  watch.replace(abuseSchema.parse({ default_rules: false, rules: [rules[0], ruleOf({ id: 'changed', when: 'true' })] }));
  expect(counts()).toEqual({ same: 1, changed: 0 });
});

test('a list is in use once it was read, a bad one is complained of by line, and a throwaway mail domain is a signal', async () => {
  const [good, bad] = [path.join(directory, 'domains.txt'), path.join(directory, 'vpn.txt')];
  writeFileSync(good, 'throwaway.example\n');
  writeFileSync(bad, '192.0.2.0/24\nnonsense\n');
  const { watch, clock, events } = watchOf({ lists: { disposable_domains: [good], vpns: [bad] } });
  while (events.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  expect(events).toEqual([
    { level: 'warn', message: expect.stringContaining('vpn.txt:2: ') },
    { level: 'info', message: expect.stringContaining('domains.txt: 1 entries are in use') },
  ]);
  watch.observeAccount({ organization: 'org_new', address: '192.0.2.1', mailDomain: 'Throwaway.Example' });
  await clock.advance(1);
  expect(watch.signals({ kind: 'organization', id: 'org_new' })?.values).toMatchObject({
    disposable_mail: 1,
    network_new_accounts: 1,
  });
});

test('after it is closed nothing is taken in any more', async () => {
  const { watch, clock } = watchOf({});
  watch.observe(recordOf(), UNSEEN);
  await watch.close();
  watch.observe(recordOf(), UNSEEN);
  await clock.advance(MINUTE);
  expect(watch.status()).toMatchObject({ waitingToCount: 0, subjects: { key: { subjects: 0 } } });
  expect(clock.pending()).toBe(0);
});
