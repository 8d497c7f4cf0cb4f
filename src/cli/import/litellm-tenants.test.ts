import { expect, test } from 'vitest';
import { collectLeftovers } from './leftovers.ts';
import { monthlyBudget } from './litellm-limits.ts';
import type { ImportedKey } from './litellm-tenants.ts';
import { planTenants } from './litellm-tenants.ts';
import { budgetRow, keyRow, organizationRow, readTable, teamRow, userRow } from './litellm-tables.ts';

const models = {
  names: ['gpt-4o', 'gpt-4o-mini', 'openai/a', 'claude'],
  groups: new Map([['beta', ['claude', 'gpt-4o']]]),
};
const hash = (digit: string): string => digit.repeat(64);

interface Rows {
  readonly keys?: readonly object[];
  readonly teams?: readonly object[];
  readonly users?: readonly object[];
  readonly organizations?: readonly object[];
  readonly budgets?: readonly object[];
}

function plan(rows: Rows) {
  const leftovers = collectLeftovers();
  const read = <T>(list: readonly object[] | undefined, schema: Parameters<typeof readTable<T>>[1]): readonly T[] => {
    const table = readTable((list ?? []) as Record<string, unknown>[], schema);
    expect(table.unread).toEqual([]);
    return table.rows;
  };
  const objects = planTenants(
    {
      keys: read(rows.keys, keyRow),
      teams: read(rows.teams, teamRow),
      users: read(rows.users, userRow),
      organizations: read(rows.organizations, organizationRow),
      budgets: read(rows.budgets, budgetRow),
    },
    { organizationName: 'LiteLLM', models },
    leftovers,
  );
  return { objects, keys: objects.filter((object): object is ImportedKey => object.kind === 'key'), leftovers: leftovers.list() };
}

test('organizations, teams and keys become the tenancy tree with their limits, parents first', () => {
  const { objects, leftovers } = plan({
    organizations: [{ organization_id: 'o1', organization_alias: 'Acme', budget_id: 'b1', models: ['gpt-4o', 'gpt-4o-mini'] }],
    budgets: [{ budget_id: 'b1', max_budget: 500, budget_duration: '30d' }],
    teams: [
      {
        team_id: 't1',
        team_alias: 'Search',
        organization_id: 'o1',
        models: ['gpt-4o'],
        rpm_limit: 100,
        tpm_limit: '90000',
        max_budget: 50,
        budget_duration: '1mo',
      },
    ],
    keys: [
      {
        token: hash('a'),
        key_name: 'sk-...wxyz',
        key_alias: 'search-prod',
        team_id: 't1',
        models: ['all-team-models'],
        rpm_limit: 7,
        tpm_limit: 1000,
        max_parallel_requests: 3,
        max_budget: 1.5,
        budget_duration: '30d',
        expires: '2027-01-01T00:00:00',
      },
    ],
  });
  const [organization, workspace] = objects;
  expect(objects).toEqual([
    {
      kind: 'organization',
      id: expect.stringMatching(/^org_litellm_[0-9a-f]{20}$/),
      name: 'Acme',
      limits: { 'spend-month': { limit: 500_000_000 } },
    },
    {
      kind: 'workspace',
      id: expect.stringMatching(/^ws_litellm_[0-9a-f]{20}$/),
      organization: organization && 'id' in organization && organization.id,
      name: 'Search',
      limits: {
        'workspace-rpm': { limit: 100 },
        'workspace-tpm': { limit: 90_000 },
        'workspace-spend-month': { limit: 50_000_000 },
      },
      is_closed: false,
    },
    {
      kind: 'key',
      sha256: hash('a'),
      organization: organization && 'id' in organization && organization.id,
      workspace: workspace && 'id' in workspace && workspace.id,
      name: 'search-prod',
      hint: 'wxyz',
      models: ['gpt-4o'],
      limits: { rpm: { limit: 7 }, tpm: { limit: 1000 }, concurrency: { limit: 3 }, 'key-spend-month': { limit: 1_500_000 } },
      expires_at_ms: Date.UTC(2027, 0, 1),
      is_revoked: false,
    },
  ]);
  expect(leftovers).toEqual([]);
});

test('reading the same tables twice makes the same plan', () => {
  const rows = {
    teams: [{ team_id: 't' }],
    keys: [
      { token: hash('a'), team_id: 't' },
      { token: hash('b'), user_id: 'u' },
    ],
  };
  expect(plan(rows)).toEqual(plan(rows));
});

test('a user has a workspace with the limits of the user, which holds the keys outside any team', () => {
  const { objects, keys } = plan({
    users: [{ user_id: 'u1', user_alias: 'Ada', rpm_limit: 5, models: ['claude', 'no-default-models'] }],
    keys: [
      { token: hash('a'), user_id: 'u1' },
      { token: hash('b'), user_id: 'u1', models: ['claude', 'gpt-4o'] },
      { token: hash('c') },
    ],
  });
  expect(objects.map((object) => [object.kind, object.name])).toEqual([
    ['organization', 'LiteLLM'],
    ['workspace', 'Ada'],
    ['workspace', 'Keys without a team'],
    ...Array.from({ length: 3 }, () => ['key', 'without a name']),
  ]);
  expect(keys.map((key) => key.models)).toEqual([['claude'], ['claude'], null]);
});

test.each<[readonly string[], readonly string[], readonly string[] | null]>([
  [[], [], null],
  [['all-proxy-models'], [], null],
  [[], ['gpt-4o'], ['gpt-4o']],
  [['all-team-models'], ['gpt-4o', 'claude'], ['gpt-4o', 'claude']],
  [['gpt-4o', 'claude'], ['claude'], ['claude']],
  [['openai/*'], [], ['openai/a']],
  [['gpt-*'], ['gpt-4o-mini'], ['gpt-4o-mini']],
  [['beta'], [], ['claude', 'gpt-4o']],
  [['gpt-4o'], ['claude'], []],
  [['no-default-models'], [], []],
])('a key for %j in a team for %j may call %j', (key, team, allowed) => {
  const { keys } = plan({ teams: [{ team_id: 't', models: team }], keys: [{ token: hash('a'), team_id: 't', models: key }] });
  expect(keys[0]?.models).toEqual(allowed);
});

test('a key whose models come from access groups may call none of them, and that is said', () => {
  const { keys, leftovers } = plan({ keys: [{ token: hash('a'), key_alias: 'grouped', access_group_ids: ['g'] }] });
  expect(keys[0]?.models).toEqual([]);
  expect(leftovers).toContainEqual({
    kind: 'changed',
    because: expect.stringContaining('access_group_ids'),
    of: ['key grouped'],
  });
});

test("a key takes what it does not say from its budget, and a budget's duration only with its amount", () => {
  const { keys } = plan({
    budgets: [{ budget_id: 'b', max_budget: 10, budget_duration: '30d', rpm_limit: 60, tpm_limit: 600 }],
    keys: [
      { token: hash('a'), budget_id: 'b', rpm_limit: 6 },
      { token: hash('b'), budget_id: 'b', max_budget: 3, budget_duration: '30d' },
    ],
  });
  expect(keys.map((key) => key.limits)).toEqual([
    { rpm: { limit: 6 }, tpm: { limit: 600 }, 'key-spend-month': { limit: 10_000_000 } },
    { rpm: { limit: 60 }, tpm: { limit: 600 }, 'key-spend-month': { limit: 3_000_000 } },
  ]);
});

test('blocked keys are revoked and blocked teams closed', () => {
  const { objects, leftovers } = plan({
    teams: [{ team_id: 't', team_alias: 'Old', blocked: true }],
    keys: [{ token: hash('a'), key_alias: 'k', team_id: 't', blocked: 't' }],
  });
  expect(objects).toMatchObject([{}, { is_closed: true }, { is_revoked: true }]);
  expect(leftovers.flatMap(({ of }) => of)).toEqual(['team Old', 'key k']);
});

test.each([
  [{ team_id: 'litellm-dashboard' }, 'dashboard'],
  [{ token: 'sk-plain-text' }, 'not stored as a SHA-256 hash'],
  [{ allowed_routes: ['management_routes'] }, 'only manages'],
  [{ team_id: 'gone' }, 'its team is not in the exported table'],
])('a key with %j is left out and listed, never with what is stored of it', (columns, because) => {
  const { keys, leftovers } = plan({ keys: [{ token: hash('a'), key_alias: 'k', ...columns }] });
  expect(keys).toEqual([]);
  expect(leftovers).toEqual([{ kind: 'left', because: expect.stringContaining(because), of: ['key k'] }]);
  expect(JSON.stringify(leftovers)).not.toMatch(/sk-plain|aaaa/);
});

test.each([
  ['aliases', { fast: 'gpt-4o-mini' }],
  ['permissions', { allow_pii_controls: true }],
  ['config', { x: 1 }],
  ['router_settings', '{"num_retries": 2}'],
  ['model_max_budget', { 'gpt-4o': { budget_limit: 1 } }],
  ['project_id', 'p'],
  ['auto_rotate', true],
  ['allowed_routes', ['/v1/embeddings']],
  ['metadata', { guardrails: ['pii'] }],
  ['metadata', { model_rpm_limit: { 'gpt-4o': 2 } }],
  ['access_group_ids', ['g']],
])('%s %j of a key has no counterpart and is listed', (column, value) => {
  const { leftovers } = plan({ keys: [{ token: hash('a'), key_alias: 'k', models: ['gpt-4o'], [column]: value }] });
  expect(leftovers.map(({ of }) => of)).toEqual([['key k']]);
});

test.each([
  ['organization', 'rpm_limit'],
  ['organization', 'tpm_limit'],
  ['organization', 'max_parallel_requests'],
  ['team', 'max_parallel_requests'],
] as const)("an %s's %s, which no rule counts, is listed", (level, column) => {
  const { leftovers } = plan(
    level === 'team'
      ? { teams: [{ team_id: 't', [column]: 4 }] }
      : { organizations: [{ organization_id: 'o', budget_id: 'b' }], budgets: [{ budget_id: 'b', [column]: 4 }] },
  );
  expect(leftovers).toEqual([{ kind: 'left', because: expect.stringContaining(column), of: [expect.stringContaining(level)] }]);
});

test.each<[number, string | null, number, number, boolean]>([
  [100, '30d', 90, 100, true],
  [100, '1mo', 0, 100, true],
  [100, '720h', 0, 100, true],
  [100, null, 30, 70, false],
  [100, null, 130, 0, false],
  [10, '1d', 0, 310, false],
  [10, '7d', 0, 50, false],
  [10, '24h', 0, 310, false],
  [120, '60d', 0, 60, false],
  [10, 'often', 0, 10, false],
])('a budget of %d dollars for %s, %d spent, is %d a month', (dollars, duration, spent, monthly, isSame) => {
  const budget = monthlyBudget(dollars, duration, spent);
  expect(budget.monthly).toBe(monthly);
  expect(budget.note === null).toBe(isSame);
});
