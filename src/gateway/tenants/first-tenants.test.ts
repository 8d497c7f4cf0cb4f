import { existsSync, readFileSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openControlStore, hashKey, newKey, type ControlStore } from '#storage';
import { ensureFirstTenants, type FirstTenants } from './first-tenants.ts';
import { PepperProblem } from './pepper.ts';
import { createTenantDirectory, type TenantDirectory } from './tenant-directory.ts';

const root = await mkdtemp(path.join(tmpdir(), 'plimsoll-first-'));
afterAll(() => rm(root, { recursive: true, force: true }));
const pepper = Buffer.alloc(32, 5);

const ensure = (store: ControlStore, name: string, with_ = pepper): Promise<FirstTenants> =>
  ensureFirstTenants({ store, dataDirectory: path.join(root, name), pepper: with_, wallMs: () => 1_000 });

async function directoryOf(store: ControlStore): Promise<TenantDirectory> {
  const directory = createTenantDirectory({ pepper, wallMs: () => 2_000 });
  const page = await store.changesAfter(0, ['organization', 'workspace', 'key'], 1_000);
  directory.apply(page.objects.map(({ object }) => object));
  return directory;
}

const keysIn = (file: string): { readonly api_key: string; readonly admin_key: string } => JSON.parse(readFileSync(file, 'utf8'));

async function expectOneBoot(store: ControlStore, names: readonly string[], boots: readonly FirstTenants[]): Promise<void> {
  expect(boots.filter(({ isNew }) => isNew)).toHaveLength(1);
  const [winner] = boots.filter(({ isNew }) => isNew);
  const { firstKeysPath } = winner!;
  const files = await Promise.all(names.map((name) => readdir(path.join(root, name)).catch(() => [])));
  expect(files.flat()).toEqual(['first-keys.json']);
  expect(statSync(firstKeysPath).mode & 0o077).toBe(0);
  const directory = await directoryOf(store);
  expect(directory.counts()).toMatchObject({ organizations: 1, workspaces: 1, keys: 2 });
  const { api_key, admin_key } = keysIn(firstKeysPath);
  expect(directory.find(api_key)).toMatchObject({
    id: 'key_first_api',
    organization: 'org_first',
    workspace: 'ws_first',
    role: 'api',
  });
  expect(directory.find(admin_key)).toMatchObject({
    id: 'key_first_admin',
    role: 'admin',
    key: { role: 'admin', reach: 'installation' },
  });
  const audit = JSON.stringify(await store.audit({ organization: null, after: 0, max: 10 }));
  for (const key of [api_key, admin_key]) expect(audit).not.toContain(key.slice(-20));
}

// The embedded engine takes seconds to start, so this is one story.
test('the first boot makes one set of tenants and keys, whoever begins at once, and later boots find it', async () => {
  const store = await openControlStore({ kind: 'embedded', directory: path.join(root, 'store') });
  const names = ['a', 'b', 'c', 'd', 'e'];
  const boots = await Promise.all(names.map((name) => ensure(store, name)));
  await expectOneBoot(store, names, boots);
  const winner = boots.find(({ isNew }) => isNew)!;
  const before = keysIn(winner.firstKeysPath);

  const again = await ensure(store, path.basename(path.dirname(winner.firstKeysPath)));
  expect(again).toEqual({ firstKeysPath: winner.firstKeysPath, isNew: false, imported: 0 });
  expect(keysIn(again.firstKeysPath)).toEqual(before);

  // A gateway with another pepper would recognise nobody's key.
  await expect(ensure(store, 'f', Buffer.alloc(32, 6))).rejects.toThrow(PepperProblem);

  // Ended between its commit and the name of its file: the draft becomes the file. A draft of a loser goes.
  await mkdir(path.join(root, 'g'));
  const draft = path.join(root, 'g', 'first-keys.json.new');
  await writeFile(draft, readFileSync(winner.firstKeysPath));
  await ensure(store, 'g');
  expect(keysIn(path.join(root, 'g', 'first-keys.json'))).toEqual(before);
  expect(existsSync(draft)).toBe(false);
  for (const text of [JSON.stringify({ api_key: newKey('api', pepper).presented, admin_key: 'x' }), '{"api_k']) {
    await mkdir(path.join(root, 'h'), { recursive: true });
    await writeFile(path.join(root, 'h', 'first-keys.json.new'), text);
    await ensure(store, 'h');
    expect(await readdir(path.join(root, 'h'))).toEqual([]);
  }
  await store.close();
});

// As above.
test('keys of version 0.1 are taken over with their ids and digests, so nobody has to change one', async () => {
  const store = await openControlStore({ kind: 'embedded', directory: path.join(root, 'old-store') });
  const data = path.join(root, 'old');
  await mkdir(data);
  const old = { api: `plimsoll_api_${'o'.repeat(43)}`, admin: `plimsoll_admin_${'p'.repeat(43)}` };
  const keys = (['api', 'admin'] as const).map((role) => ({
    id: `key_first_${role}`,
    organization: 'org_first',
    workspace: 'ws_first',
    role,
    digest: hashKey(old[role], pepper).hex,
  }));
  await writeFile(path.join(data, 'keys.json'), JSON.stringify({ version: 1, keys }));
  await writeFile(path.join(data, 'first-keys.json'), JSON.stringify({ api_key: old.api, admin_key: old.admin }));
  await writeFile(path.join(data, 'pepper'), Buffer.alloc(32, 6));
  await expect(ensure(store, 'old')).rejects.toThrow(/use keys\.pepper: file:/);
  await writeFile(path.join(data, 'pepper'), pepper);
  expect(await ensure(store, 'old')).toMatchObject({ isNew: false, imported: 2 });
  const directory = await directoryOf(store);
  expect(directory.find(old.api)).toMatchObject({
    id: 'key_first_api',
    organization: 'org_first',
    workspace: 'ws_first',
    role: 'api',
  });
  expect(directory.find(old.admin)).toMatchObject({ role: 'admin', key: { role: 'admin', reach: 'installation' } });
  expect(keysIn(path.join(data, 'first-keys.json'))).toEqual({ api_key: old.api, admin_key: old.admin });
  expect(await ensure(store, 'old')).toMatchObject({ isNew: false, imported: 0 });
  await store.close();
});

const url = process.env.PLIMSOLL_TEST_POSTGRES;
const because =
  url === undefined ? ' (skipped: PLIMSOLL_TEST_POSTGRES names no server; scripts/with-postgres.sh starts one)' : '';
test.skipIf(url === undefined)(
  `gateways that start at once on one PostgreSQL end with one set of first keys${because}`,
  async () => {
    for (let round = 0; round < 3; round++) {
      const place = { kind: 'postgres' as const, url: url ?? '', schema: `plimsoll_first_${process.pid}_${round}` };
      const names = Array.from({ length: 4 }, (_, n) => `pg${round}${n}`);
      const stores = await Promise.all(names.map(() => openControlStore(place)));
      const boots = await Promise.all(stores.map((store, n) => ensure(store, names[n]!)));
      await expectOneBoot(stores[0]!, names, boots);
      await Promise.all(stores.map((store) => store.close()));
    }
  },
);
