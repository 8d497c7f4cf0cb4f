// Each command asks a real admin API over a socket, which writes to a real embedded store: some take longer than 100 ms.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAdminServer, type AdminServer } from './admin-server.fixture.ts';
import { registerKey } from './key.ts';
import { readExpiry, readLimit, readList, readSeconds } from './key/parse.ts';
import { runCommand, type Ran } from './run-command.fixture.ts';

let server: AdminServer;
beforeAll(async () => void (server = await startAdminServer()));
afterAll(() => server.close());

const key = (words: readonly string[], more: { readonly stdin?: string } = {}): Promise<Ran> =>
  runCommand(registerKey, ['key', ...words, '--url', server.url, '--admin-key', server.adminKey], more);

test('a new key alone is printed to stdout, and calls models at once', async () => {
  const { out, err, exitCode } = await key([
    'create',
    '--name',
    'mine',
    '--models',
    'a,b',
    '--limit',
    'rpm=10/2',
    '--limit',
    'tpm=5',
  ]);
  expect(exitCode).toBe(0);
  const caller = server.directory.find(out);
  expect(caller).toMatchObject({ organization: 'org_first', workspace: 'ws_first', role: 'api' });
  expect(caller?.key).toMatchObject({ name: 'mine', limits: { rpm: { limit: 10, burst: 2 }, tpm: { limit: 5 } } });
  expect([caller?.scopes.allowsModel('a'), caller?.scopes.allowsModel('c')]).toEqual([true, false]);
  expect(err).not.toContain(out);
});

test('keys are listed and shown without their secrets, as a table and as JSON', async () => {
  const { out: secret } = await key(['create', '--name', 'listed', '--workspace', 'ws_first']);
  const table = await key(['list', '--organization', 'org_first']);
  expect(table.out).toMatch(/^id +name +organization/m);
  expect(table.out).toMatch(/^key_\S+ +listed +org_first/m);
  const rows = JSON.parse((await key(['list', '--json'])).out) as readonly { id: string; name: string }[];
  const row = rows.find(({ name }) => name === 'listed');
  const shown = await key(['show', row?.id ?? '']);
  expect(shown.out).toMatch(/^name +listed$/m);
  expect(table.out + shown.out).not.toContain(secret);
});

test('a change keeps the limits and scopes that it does not name', async () => {
  const made = JSON.parse((await key(['create', '--name', 'c', '--models', 'a', '--limit', 'rpm=10', '--json'])).out) as {
    id: string;
  };
  const { out } = await key(['change', made.id, '--limit', 'tpm=7', '--regions', 'eu', '--expires', '2099-01-01', '--json']);
  expect(JSON.parse(out)).toMatchObject({
    limits: { rpm: { limit: 10 }, tpm: { limit: 7 } },
    scopes: { models: ['a'], regions: ['eu'] },
    expires_at_ms: Date.UTC(2099, 0, 1),
  });
});

test('after a rotation both keys work, and after a revocation neither the one revoked', async () => {
  const { out: old } = await key(['create', '--name', 'r']);
  const id = server.directory.find(old)?.id ?? '';
  const { out: next, err } = await key(['rotate', id, '--overlap', '1h']);
  expect(err).toContain(`replaces ${id}`);
  expect([server.directory.find(old)?.id, server.directory.find(next)?.key.name]).toEqual([id, 'r']);
  const revoked = await key(['revoke', id]);
  expect([revoked.exitCode, revoked.out]).toEqual([0, `revoked: ${id}\nrefused already by: this gateway`]);
  expect([server.directory.find(old), server.directory.find(next)?.key.name]).toEqual([null, 'r']);
});

test('a leaked key is read from stdin, and is good for nothing at once', async () => {
  const { out: secret } = await key(['create', '--name', 'leaked']);
  const { out, err } = await key(['report-leaked'], { stdin: `${secret}\n` });
  expect(out).toMatch(/^status +received$/m);
  expect(server.directory.find(secret)).toBeNull();
  expect(out + err).not.toContain(secret);
  expect(await key(['report-leaked'], { stdin: 'two words' })).toMatchObject({
    exitCode: 1,
    err: expect.stringContaining('one key'),
  });
});

test('admin keys, members, workspaces and organizations are made and ended', async () => {
  const read = async (words: readonly string[]): Promise<Record<string, unknown>> => {
    const { out, err, exitCode } = await key([...words, '--json']);
    expect([exitCode, err]).toEqual([0, '']);
    return JSON.parse(out) as Record<string, unknown>;
  };
  const organization = await read([
    'organization',
    'create',
    '--name',
    'Acme',
    '--when-cut-off',
    '10m',
    '--limit',
    'spend-month=5000000',
  ]);
  expect(organization).toMatchObject({
    when_cut_off: { kind: 'refuse', after_seconds: 600 },
    limits: { 'spend-month': { limit: 5e6 } },
  });
  const id = String(organization['id']);
  expect(await read(['organization', 'change', id, '--tier', 'large', '--limit', 'rpm=3'])).toMatchObject({
    tier: 'large',
    limits: { 'spend-month': { limit: 5e6 }, rpm: { limit: 3 } },
  });
  const workspace = await read(['workspace', 'create', '--name', 'W', '--organization', id]);
  expect(await read(['workspace', 'change', String(workspace['id']), '--name', 'V'])).toMatchObject({ name: 'V' });
  const member = await read(['member', 'create', '--email', 'a@example.com', '--role', 'operator', '--organization', id]);
  const made = await read(['create', '--name', 'a', '--member', String(member['id']), '--organization', id]);
  const caller = server.directory.find(String(made['secret']));
  expect(caller).toMatchObject({ role: 'admin', organization: id, key: { role: 'operator', reach: 'organization' } });
  await read(['member', 'change', String(member['id']), '--role', 'reviewer']);
  expect(server.directory.find(String(made['secret']))?.key.role).toBe('reviewer');
  await read(['member', 'remove', String(member['id'])]);
  expect(server.directory.find(String(made['secret']))).toBeNull();
  const { out: api } = await key(['create', '--name', 'b', '--organization', id]);
  expect(server.directory.find(api)?.workspace).toBe(workspace['id']);
  await read(['workspace', 'close', String(workspace['id'])]);
  expect(server.directory.find(api)).toBeNull();
  expect((await key(['create', '--name', 'd', '--organization', id])).err).toContain('no workspace');
  expect(await read(['organization', 'close', id])).toMatchObject({ closed_at_ms: expect.any(Number) });
});

describe('what cannot be done is said in words, with exit code 1', () => {
  test.each([
    [['show', 'key_none'], 'There is no key "key_none"'],
    [['create', '--name', 'x', '--limit', 'nosuch=1'], 'no rule is called "nosuch"; there are rpm'],
    [['rotate', 'key_none'], 'There is no key'],
    [['organization', 'create', '--name', 'x', '--when-cut-off', 'soon'], '--when-cut-off takes serve'],
  ])('%j', async (words, message) => {
    const { out, err, exitCode } = await key(words);
    expect([out, exitCode]).toEqual(['', 1]);
    expect(err).toContain(message);
  });

  test('an admin key that is not one, and a server that is not there', async () => {
    const wrong = await runCommand(registerKey, ['key', 'list', '--url', server.url, '--admin-key', 'plimsoll_admin_no']);
    expect(wrong).toMatchObject({ exitCode: 1, err: expect.stringContaining('does not take this admin key') });
    expect(wrong.err).not.toContain('plimsoll_admin_no');
    const nobody = await runCommand(registerKey, ['key', 'list', '--url', 'http://127.0.0.1:1', '--admin-key', 'k']);
    expect(nobody).toMatchObject({ exitCode: 1, err: expect.stringContaining('nothing listens at') });
  });
});

test.each([
  [readSeconds, '90s', 90],
  [readSeconds, '24h', 86_400],
  [readList, 'a, b', ['a', 'b']],
  [readLimit, 'rpm=10', { rpm: { limit: 10 } }],
  [readLimit, 'workspace-rpm=10/3', { 'workspace-rpm': { limit: 10, burst: 3 } }],
] as const)('%o reads %j', (read: (text: string) => unknown, text, value) => {
  expect(read(text)).toEqual(value);
});

test.each([
  [readSeconds, '5'],
  [readSeconds, '-5s'],
  [readList, 'a,,b'],
  [readLimit, 'rpm'],
  [readLimit, 'rpm=x'],
  [readLimit, 'rpm=1.5'],
  [readExpiry, 'tomorrow'],
  [readExpiry, '2026-13-01'],
] as const)('%o refuses %j and says what it takes', (read: (text: string) => unknown, text) => {
  expect(() => read(text)).toThrow(/it is a /);
});

test('an expiry is a time from now, a day, or never', () => {
  expect([readExpiry('30d')(1_000), readExpiry('2027-01-31')(0), readExpiry('never')(0)]).toEqual([
    1_000 + 30 * 86_400_000,
    Date.UTC(2027, 0, 31),
    null,
  ]);
});
