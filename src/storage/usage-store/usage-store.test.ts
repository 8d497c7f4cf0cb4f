import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sampleRecord } from '../journal/journal-kit.ts';
import { DirectoryInUse } from '../lock-directory.ts';
import { openEmbedded } from '../sql/embedded.ts';
import { migrate, NewerSchema } from '../sql/migrate.ts';
import { openUsageStore } from './open-usage-store.ts';
import { openPostgres } from '../sql/postgres.ts';
import type { SqlDatabase } from '../sql/sql.ts';
import { describeUsageStore } from './usage-store.conformance.ts';

// The embedded engine takes seconds for its first start: its own tests below share the directory that the suite has used.
const directory = path.join(await mkdtemp(path.join(tmpdir(), 'plimsoll-store-')), 'store');
afterAll(() => rm(path.dirname(directory), { recursive: true, force: true }));

describeUsageStore('embedded store', () => openUsageStore({ kind: 'embedded', directory }));

const url = process.env.PLIMSOLL_TEST_POSTGRES;
const schema = `plimsoll_test_${process.pid}`;
if (url === undefined) {
  test.skip('PostgreSQL store (skipped: PLIMSOLL_TEST_POSTGRES names no server; scripts/with-postgres.sh starts one)', () =>
    undefined);
} else {
  describeUsageStore('PostgreSQL store', () => openUsageStore({ kind: 'postgres', url, schema }));
  describeMigrations('PostgreSQL', () => openPostgres({ url, schema: `${schema}_migrations` }));
  afterAll(async () => {
    const database = await openPostgres({ url });
    await database.query(`drop schema if exists "${schema}" cascade`);
    await database.query(`drop schema if exists "${schema}_migrations" cascade`);
    await database.close();
  });
  test('a server that cannot be reached is a failure in words, without the password', async () => {
    const error: unknown = await openPostgres({ url: 'postgres://someone:secret@127.0.0.1:1/none' }).catch(
      (reason: unknown) => reason,
    );
    expect(String(error)).toMatch(/ECONNREFUSED/);
    expect(String(error)).not.toContain('secret');
  });
}

describeMigrations('embedded', () => openEmbedded(path.join(directory, 'pg')));

function describeMigrations(name: string, open: () => Promise<SqlDatabase>): void {
  describe(`migrations of ${name}`, () => {
    let database: SqlDatabase;
    beforeAll(async () => {
      database = await open();
    });
    afterAll(() => database.close());

    test('each step runs once, whoever comes, and a newer schema is not touched', async () => {
      const first = 'create table if not exists migrated_first (a int)';
      const second = 'insert into migrated_first values (1)';
      await migrate(database, 'part', [first]);
      await Promise.all([migrate(database, 'part', [first, second]), migrate(database, 'part', [first, second])]);
      expect(await database.query('select count(*)::int as count from migrated_first')).toEqual([{ count: 1 }]);
      await expect(migrate(database, 'part', [first])).rejects.toThrow(NewerSchema);
    });

    test('a step that fails leaves nothing behind', async () => {
      await expect(migrate(database, 'broken', ['create table migrated_broken (a int)', 'no sql'])).rejects.toThrow();
      expect(await database.query("select to_regclass('migrated_broken')::text as name")).toEqual([{ name: null }]);
    });
  });
}

test('an embedded store survives its close, persists, and is refused to a second opener by name of the first', async () => {
  const own = `${directory}-reopened`;
  const store = await openUsageStore({ kind: 'embedded', directory: own });
  await expect(openUsageStore({ kind: 'embedded', directory: own })).rejects.toThrow(DirectoryInUse);
  await expect(openUsageStore({ kind: 'embedded', directory: own })).rejects.toThrow(`process ${process.pid}`);
  await store.apply({ journal: 'j', from: 0, to: 1, count: 1, lines: Buffer.from(`${JSON.stringify(sampleRecord(0))}\n`) });
  await store.persist();
  await store.close();
  expect(await readdir(own)).toEqual(['pg']);
  const again = await openUsageStore({ kind: 'embedded', directory: own });
  expect(await again.position('j')).toBe(1);
  await again.close();
});
