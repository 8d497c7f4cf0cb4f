import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { UsageRecord } from '#contracts/record';
import { DAY_MS, rollUp } from './roll-up.ts';

const tokens = fc.nat(1_000_000);
const records: fc.Arbitrary<UsageRecord[]> = fc.array(
  fc.record({
    version: fc.constant(1 as const),
    id: fc.uuid(),
    atMs: fc.integer({ min: 0, max: 4 * DAY_MS }),
    organization: fc.constantFrom('a', 'b', null),
    workspace: fc.constantFrom('', 'w', null),
    key: fc.constantFrom('k', null),
    endUser: fc.constant(null),
    conversation: fc.constant(null),
    dialect: fc.constant('anthropic' as const),
    operation: fc.constant('messages' as const),
    streamed: fc.boolean(),
    model: fc.constantFrom('m', 'n\0o', 'n\uFFFDo', '\uD800', null),
    behavior: fc.constant(null),
    pool: fc.constant(null),
    region: fc.constant(null),
    attempts: fc.constant([]),
    outcome: fc.constantFrom('answered', 'failed', 'refused'),
    status: fc.constant(200),
    code: fc.constantFrom(null, 'model_not_found'),
    stopReason: fc.constant(null),
    tokens: fc.record({ input: tokens, cacheRead: tokens, cacheWrite: tokens, output: tokens, estimated: fc.boolean() }),
    costMicroUsd: fc.option(tokens),
    stagesUs: fc.constant({}),
    firstContentUs: fc.constant(null),
    durationUs: fc.nat(),
    requestBytes: fc.nat(),
    responseBytes: fc.nat(),
    guards: fc.constant([]),
  }),
  { maxLength: 60 },
);
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

test('every request, token and micro-dollar is in exactly one group', () => {
  fc.assert(
    fc.property(records, (all) => {
      const groups = rollUp(all);
      expect(sum(groups.map(({ requests }) => requests))).toBe(all.length);
      expect(sum(groups.map(({ output }) => output))).toBe(sum(all.map((record) => record.tokens.output)));
      expect(sum(groups.map(({ cacheRead }) => cacheRead))).toBe(sum(all.map((record) => record.tokens.cacheRead)));
      expect(sum(groups.map(({ costMicroUsd }) => costMicroUsd))).toBe(sum(all.map((record) => record.costMicroUsd ?? 0)));
      expect(sum(groups.map(({ unpriced }) => unpriced))).toBe(all.filter((record) => record.costMicroUsd === null).length);
    }),
  );
});

test('no two groups share their names, and all names are fit for a database', () => {
  fc.assert(
    fc.property(records, (all) => {
      const names = rollUp(all).map(({ day, organization, workspace, key, model, outcome }) =>
        JSON.stringify([day, organization, workspace, key, model, outcome]),
      );
      expect(new Set(names).size).toBe(names.length);
      expect(names.join('').includes('\\u0000')).toBe(false);
      expect(names.join('')).not.toMatch(/\\ud8/);
    }),
  );
});

test('names that clients make up for models we do not have make no groups', () => {
  const [sample] = fc.sample(
    records.filter((all) => all.length > 0),
    1,
  )[0]!;
  const made = Array.from({ length: 50 }, (_, index) => ({
    ...sample!,
    model: `made-up-${index}`,
    code: 'model_not_found' as const,
  }));
  expect(rollUp(made)).toMatchObject([{ model: null, requests: 50 }]);
});

test('a count that no request can have does not spoil the sum', () => {
  const [sample] = fc.sample(
    records.filter((all) => all.length > 0),
    1,
  )[0]!;
  const broken = { input: Number.MAX_VALUE, cacheRead: Number.NaN, cacheWrite: -5, output: 1.5, estimated: false };
  expect(rollUp([{ ...sample!, tokens: broken }])).toMatchObject([
    { input: 1_000_000_000, cacheRead: 0, cacheWrite: 0, output: 1 },
  ]);
});
