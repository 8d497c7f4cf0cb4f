import { expect, test } from 'vitest';
import { type AbuseRule, abuseRuleSchema } from '#contracts/abuse';
import type { UsageRecord } from '#contracts/record';
import { createReplay, thresholdFor } from '#core/abuse';

const MINUTE = 60_000;
const MINUTES_A_DAY = 1_440;
const START = Date.UTC(2026, 0, 1);
const KEYS = 64;
const DAYS = 3;
const PER_MINUTE = 10;

/**
 * 64 keys call as Poisson processes of 10 requests a minute for three days, and nothing about them changes. One false alarm a day
 * over all of them is allowed, so three are expected at most; if alarms come independently, 10 or more of them would be seen once
 * in 900 such runs. The seed is fixed, so this is one such run. That the bound can be broken is shown by the textbook's threshold
 * of 5 on the same traffic; that the detector is not deaf, by one key that then doubles.
 *
 * Three million requests through the whole book take some seconds.
 */
test('keys whose traffic does not change raise no more false alarms than were allowed, and one that doubles is found in 15 minutes', () => {
  const ours = 'velocity_change >= 1';
  const textbook = `velocity_change >= ${5 / thresholdFor({ keys: KEYS, testsPerDay: MINUTES_A_DAY, falseAlarmsPerDay: 1 })}`;
  const replay = createReplay([ruleOf('ours', ours), ruleOf('textbook', textbook)], {
    seed: [1, 2],
    falseAlarmsPerDay: 1,
    subjectsMax: { organization: 1, key: KEYS, end_user: 1, address_block: 1 },
  });
  const draw = createDraw(20_260_101);
  let minute = 0;
  const pass = (minutes: number, perMinute: (key: number) => number): void => {
    for (const end = minute + minutes; minute < end; minute++)
      for (let key = 0; key < KEYS; key++)
        for (let left = poisson(perMinute(key), draw); left > 0; left--)
          replay.take({ ...RECORD, key: `key_${key}`, atMs: START + minute * MINUTE });
  };
  const firings = (): { readonly [id: string]: number } =>
    Object.fromEntries(replay.report().rules.map(({ id, firings: count }) => [id, count]));

  pass(DAYS * MINUTES_A_DAY, () => PER_MINUTE);
  expect(replay.report()).toMatchObject({ evicted: 0, rules: [{ subjectsMeasured: KEYS }, { subjectsMeasured: KEYS }] });
  const quiet = firings();
  expect(quiet['ours']).toBeLessThan(10);
  expect(quiet['textbook']).toBeGreaterThanOrEqual(10);

  pass(15, (key) => (key === 0 ? 2 * PER_MINUTE : PER_MINUTE));
  expect(firings()['ours']).toBe((quiet['ours'] ?? 0) + 1);
});

const ruleOf = (id: string, when: string): AbuseRule =>
  abuseRuleSchema.parse({ id, on: 'key', when, rung: 'note', reason: 'velocity_change', window: '1h' });

const RECORD: UsageRecord = {
  version: 1,
  id: 'req_1',
  atMs: START,
  organization: null,
  workspace: null,
  key: null,
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
  costMicroUsd: null,
  stagesUs: {},
  firstContentUs: null,
  durationUs: 0,
  requestBytes: 100,
  responseBytes: 100,
  guards: [],
};

/** Uniform in [0, 1), the same after the same seed (mulberry32, public domain). */
function createDraw(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Source: Knuth, by products of uniforms. */
function poisson(mean: number, draw: () => number): number {
  const floor = Math.exp(-mean);
  let count = -1;
  for (let product = 1; product > floor; product *= draw()) count++;
  return count;
}
