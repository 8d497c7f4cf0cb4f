// Each command asks a real admin API over a socket, which writes to a real embedded store: some take longer than 100 ms.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseConfig } from '#runtime';
import { startAdminServer, type AdminServer } from './admin-server.fixture.ts';
import { registerImport } from './import.ts';
import { runCommand, type Ran } from './run-command.fixture.ts';

let server: AdminServer;
beforeAll(async () => void (server = await startAdminServer()));
afterAll(() => server.close());

const file = (name: string, content: string): string => {
  const place = path.join(server.folder, name);
  writeFileSync(place, content);
  return place;
};
const lines = (rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
const sha256 = (secret: string): string => createHash('sha256').update(secret).digest('hex');
const run = (words: readonly string[]): Promise<Ran> =>
  runCommand(registerImport, ['import', 'litellm', ...words, '--url', server.url, '--admin-key', server.adminKey]);

const CONFIG = `
model_list:
  - model_name: gpt-4o
    litellm_params: { model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY }
  - model_name: claude
    litellm_params: { model: anthropic/claude-sonnet-4-5, api_key: os.environ/ANTHROPIC_API_KEY }
general_settings: { master_key: sk-master }
`;

test('after an import every developer calls with the key that they had, within the limits that it had', async () => {
  const [search, personal, blocked] = ['sk-search-1234', 'sk-personal-5678', 'sk-blocked-9012'];
  // Keys as psql's \copy writes CSV, the other tables as JSON lines.
  const keys = file(
    'keys.csv',
    [
      'token,key_name,key_alias,team_id,user_id,models,rpm_limit,max_budget,budget_duration,blocked,metadata',
      `${sha256(search)},sk-...1234,search,team-1,,"{all-team-models}",7,12.5,30d,,"{""tags"": []}"`,
      `${sha256(personal)},sk-...5678,,,ada,{},,,,f,{}`,
      `${sha256(blocked)},sk-...9012,blocked,team-1,,{},,,,t,{}`,
    ].join('\n'),
  );
  const teams = file('teams.jsonl', lines([{ team_id: 'team-1', team_alias: 'Search', models: ['gpt-4o'], tpm_limit: 90_000 }]));
  const users = file('users.jsonl', lines([{ user_id: 'ada', user_email: 'ada@example.com', rpm_limit: 5 }]));
  const config = file('config.yaml', CONFIG);
  const words = ['--keys', keys, '--teams', teams, '--users', users, '--config', config, '--organization-name', 'Moved'];

  const dry = await run([...words, '--dry-run']);
  expect([dry.exitCode, server.directory.find(search)]).toEqual([0, null]);
  expect(dry.err).toContain('nothing was sent');

  const out = path.join(server.folder, 'fragment.yaml');
  const first = await run([...words, '--out', out]);
  expect(first).toMatchObject({ exitCode: 0, out: '', err: expect.stringContaining('6 created, 0 here already') });
  expect(parseConfig(readFileSync(out, 'utf8'))).toMatchObject({
    ok: true,
    value: { models: [{ id: 'gpt-4o' }, { id: 'claude' }] },
  });

  const caller = server.directory.find(search);
  expect(caller).toMatchObject({
    role: 'api',
    key: { name: 'search', hint: '1234', limits: { rpm: { limit: 7 }, 'key-spend-month': { limit: 12_500_000 } } },
    tenant: { organization: { name: 'Moved' }, workspace: { name: 'Search', limits: { 'workspace-tpm': { limit: 90_000 } } } },
  });
  expect([caller?.scopes.allowsModel('gpt-4o'), caller?.scopes.allowsModel('claude')]).toEqual([true, false]);
  expect(server.directory.find(personal)?.tenant.workspace).toMatchObject({
    name: 'ada@example.com',
    limits: { 'workspace-rpm': { limit: 5 } },
  });
  expect([server.directory.find(blocked), server.directory.find('sk-never-there')]).toEqual([null, null]);
  expect(first.err).toContain('a blocked key became a revoked one');
  expect(first.err).toContain('general_settings.master_key');
  expect(first.err + dry.out + dry.err).not.toMatch(/sk-master|sk-search/);

  const { commit } = (await server.store.audit({ organization: null, after: 0, max: 100 })).at(-1) ?? {};
  const second = await run([...words, '--json']);
  expect(JSON.parse(second.out)).toMatchObject({ imported: { created: 0, unchanged: 6, differs: [] }, planned: { keys: 3 } });
  expect((await server.store.audit({ organization: null, after: 0, max: 100 })).at(-1)?.commit).toBe(commit);
});

test('more keys than one request takes are sent in several', async () => {
  const keys = file(
    'many.jsonl',
    lines(Array.from({ length: 230 }, (_, at) => ({ token: sha256(`sk-many-${at}`), key_alias: `many ${at}` }))),
  );
  const { err } = await run(['--keys', keys]);
  expect(err).toContain('230 keys read');
  expect([0, 114, 229].map((at) => server.directory.find(`sk-many-${at}`)?.key.name)).toEqual(['many 0', 'many 114', 'many 229']);
});

test.each([
  [{ team_id: 't' }, '--teams'],
  [{ user_id: 'u' }, '--users'],
  [{ budget_id: 'b' }, '--budgets'],
  [{ organization_id: 'o' }, '--organizations'],
])('keys with %j need that table, so that no limit is lost in silence', async (columns, option) => {
  const keys = file('needing.jsonl', lines([{ token: sha256('sk-needing'), ...columns }]));
  expect(await run(['--keys', keys])).toMatchObject({ exitCode: 1, err: expect.stringContaining(option) });
  expect(server.directory.find('sk-needing')).toBeNull();
});

test('a file that exists is never overwritten, and nothing is sent then', async () => {
  const keys = file('kept.jsonl', lines([{ token: sha256('sk-kept') }]));
  const out = file('mine.yaml', 'mine');
  const { exitCode, err } = await run(['--keys', keys, '--config', file('c.yaml', CONFIG), '--out', out]);
  expect([exitCode, readFileSync(out, 'utf8'), server.directory.find('sk-kept')]).toEqual([1, 'mine', null]);
  expect(err).toContain('exists');
});

test('a dry run writes no file, and shows the fragment instead', async () => {
  const out = path.join(server.folder, 'never.yaml');
  const keys = file('dry.jsonl', lines([{ token: sha256('sk-dry') }]));
  const ran = await run(['--keys', keys, '--config', file('d.yaml', CONFIG), '--out', out, '--dry-run']);
  expect(ran.out).toContain('pools:');
  expect(existsSync(out)).toBe(false);
});

test.each([
  ['keys', '{"token": ', 'line 1 is not a JSON object'],
  ['config', 'model_list: [', 'is not YAML'],
])('a %s file that cannot be read stops everything, with its place', async (which, content, words) => {
  const bad = file('bad', content);
  const keys = which === 'keys' ? bad : file('good.jsonl', lines([{ token: sha256('sk-good') }]));
  const { exitCode, err } = await run(['--keys', keys, ...(which === 'config' ? ['--config', bad] : [])]);
  expect([exitCode, server.directory.find('sk-good')]).toEqual([1, null]);
  expect(err).toContain(words);
});
