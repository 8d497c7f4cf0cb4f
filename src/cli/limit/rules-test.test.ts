import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { UsageRecord } from '#contracts/record';
import { createSystemClock, createSystemRandom } from '#runtime';
import { createJournal } from '#storage';
import { runCommand, type Ran } from '../run-command.fixture.ts';
import { registerRulesTest } from './rules-test.ts';

let folder: string;
let config: string;
let rules: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-trial-'));
  config = fileOf('plimsoll.yaml', 'abuse: { default_rules: true }\n');
  rules = fileOf(
    'rules.yaml',
    "- { id: refusals, on: key, when: 'refusal_share > 0.5', rung: slow, factor: 0.5, reason: refusal_mix }\n",
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

const MINUTE = 60_000;
const START = Date.UTC(2026, 0, 5);

const fileOf = (name: string, text: string): string => {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
};
const recordOf = (minute: number, key: number): UsageRecord => ({
  version: 1,
  id: `req_${minute}_${key}`,
  atMs: START + minute * MINUTE + key,
  organization: 'org_a',
  workspace: 'ws_a',
  key: `key_${key}`,
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
  // Two of twenty are refused whatever they ask.
  stopReason: key < 2 ? 'refusal' : 'end_turn',
  tokens: { input: 10, cacheRead: 0, cacheWrite: 0, output: 10, estimated: false },
  costMicroUsd: 100,
  stagesUs: {},
  firstContentUs: null,
  durationUs: 1_000,
  requestBytes: 100,
  responseBytes: 100,
  guards: [],
});
const traffic = (minutes: number): readonly UsageRecord[] =>
  Array.from({ length: minutes * 20 }, (_, at) => recordOf(Math.floor(at / 20), at % 20));
const lines = (records: readonly UsageRecord[]): string => records.map((record) => `${JSON.stringify(record)}\n`).join('');
const trial = (words: readonly string[], stdin = ''): Promise<Ran> =>
  runCommand(registerRulesTest, ['test', '--config', config, ...words], { stdin });

test('a trial says how often a rule would have fired, about how many of those it could tell of, and how sure that is', async () => {
  const ran = await trial(['--rules', rules, '--replay', '-', '--json'], lines(traffic(90)));
  expect(ran).toMatchObject({ exitCode: 0, err: '' });
  expect(JSON.parse(ran.out)).toMatchObject({
    records: 1_800,
    bad_lines: 0,
    late: 0,
    first_ms: START,
    rules: [
      {
        rule: 'refusals',
        tested: true,
        subjects_measured: 20,
        subjects_fired: 2,
        subjects_fired_share: { lower: expect.closeTo(0.028, 3), upper: expect.closeTo(0.301, 3) },
      },
    ],
  });
});

test('for people it is a table, with the rules that could not be tested and why', async () => {
  const { out, exitCode } = await trial(['--replay', fileOf('traffic.jsonl', lines(traffic(90)))]);
  expect(exitCode).toBe(0);
  expect(out).toContain('1,800 usage records, 2026-01-05T00:00:00Z to 2026-01-05T01:29:00Z. Nothing was done to anybody.');
  expect(out).toMatch(/velocity-change +key +note +[\d,]+ +[\d,]+ +0 +0 +20 +0\.00 % \(0\.00 %–16\.1 %\)/);
  expect(out).toContain('many-networks: usage records do not carry new_networks');
  expect(out).toMatch(/spend-spike: nothing could be told of anybody: .*spend_ratio was not known/);
});

test('lines that are no records are counted and shown, never passed over in silence; nothing of what stood there is repeated', async () => {
  const long = `"${'x'.repeat(300_000)}"\n`;
  const [first] = traffic(1) as [UsageRecord];
  const bad = [
    'secret nonsense\n',
    `${JSON.stringify({ ...first, tokens: { input: -1 } })}\n`,
    `${JSON.stringify({ ...first, code: 'secret_code' })}\n`,
    long,
  ];
  const { out, exitCode } = await trial(
    ['--rules', rules, '--replay', '-'],
    lines(traffic(60)) + bad.join('') + JSON.stringify(first),
  );
  expect(exitCode).toBe(0);
  expect(out).toContain('4 lines were no usage records and were passed over:');
  expect(out).toContain('standard input:1201: it is not JSON');
  expect(out).toContain('standard input:1202: tokens.input: ');
  expect(out).toContain('standard input:1203: code: no code of this version');
  expect(out).toContain('standard input:1204: it has more than 262144 bytes');
  expect(out).not.toContain('secret');
  // The last line has no end, is a record, and is an hour late.
  expect(out).toContain('1,201 usage records');
  expect(out).toContain('1 records came more than a minute late');
});

test('a journal is read as it lies there, from its own directory or the data directory around it, while it may be written on', async () => {
  const data = path.join(folder, 'data');
  const journal = await createJournal({
    directory: path.join(data, 'journal'),
    clock: createSystemClock(),
    random: createSystemRandom(),
    syncIntervalMs: 5,
    bytesMax: 16 * 1024 * 1024,
    onEvent: () => undefined,
  });
  for (const record of traffic(60)) {
    expect(journal.reserve()).toBeNull();
    journal.append(record);
  }
  await journal.flush();
  for (const place of [data, path.join(data, 'journal')]) {
    const { out, exitCode } = await trial(['--rules', rules, '--replay', place, '--json']);
    expect(exitCode).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ records: 1_200, lost_records: 0, bad_lines: 0, rules: [{ subjects_fired: 2 }] });
  }
  await journal.close();
});

test.each([
  ['a file that is not there', () => ['--replay', path.join(folder, 'nothing.jsonl')], /is not there/],
  ['a directory without a journal', () => ['--replay', folder], /is neither a journal nor a data directory/],
  [
    'an input without a record',
    () => ['--replay', fileOf('empty.jsonl', 'nonsense\n')],
    /holds no usage record.*\n.*empty.jsonl:1: it is not JSON/,
  ],
  [
    'rules that are none',
    () => ['--rules', fileOf('bad.yaml', '- { id: A }\n'), '--replay', '-'],
    /no list of rules[^]*0\.id[^]*0\.when/,
  ],
  [
    'a rule that names no signal',
    () => [
      '--rules',
      fileOf('typo.yaml', '- { id: a, on: key, when: velocity_chance > 1, rung: note, reason: near_limit }\n'),
      '--replay',
      '-',
    ],
    /a names velocity_chance, which is no signal of key: did you mean velocity_change\?/,
  ],
])('%s ends the trial with words and exit code 1', async (_, words, message) => {
  const { out, err, exitCode } = await trial(words());
  expect({ out, exitCode }).toEqual({ out: '', exitCode: 1 });
  expect(err).toMatch(message);
});
