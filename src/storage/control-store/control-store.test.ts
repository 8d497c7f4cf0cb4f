import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { createControlStore } from './control-store.ts';
import { describeControlStore, type OpenedForTest } from './control-store.conformance.ts';
import { listenForCommits } from './listen.ts';
import { openEmbedded } from '../sql/embedded.ts';
import { openPostgres } from '../sql/postgres.ts';
import type { SqlDatabase } from '../sql/sql.ts';

const directory = await mkdtemp(path.join(tmpdir(), 'plimsoll-control-'));
afterAll(() => rm(directory, { recursive: true, force: true }));

async function opened(
  database: SqlDatabase,
  listen?: (wake: () => void) => Promise<() => Promise<void>>,
): Promise<OpenedForTest> {
  const unreadable: OpenedForTest['unreadable'][number][] = [];
  const store = await createControlStore(database, {
    onUnreadable: (object) => unreadable.push(object),
    ...(listen && { listen }),
  });
  return { store, database, unreadable };
}

describeControlStore('embedded control store', async () => opened(await openEmbedded(path.join(directory, 'pg'))));

const url = process.env.PLIMSOLL_TEST_POSTGRES;
if (url === undefined) {
  test.skip('PostgreSQL control store (skipped: PLIMSOLL_TEST_POSTGRES names no server; scripts/with-postgres.sh starts one)', () =>
    undefined);
} else {
  const schema = `plimsoll_control_${process.pid}`;
  const open = (): Promise<SqlDatabase> => openPostgres({ url, schema, connectionsMax: 4 });
  afterAll(async () => {
    const database = await openPostgres({ url });
    await database.query(`drop schema if exists "${schema}" cascade`);
    await database.close();
  });

  describeControlStore('PostgreSQL control store', async () => opened(await open(), (wake) => listenForCommits(url, wake)));

  describe('a PostgreSQL that several share', () => {
    test('many that commit at once over connections of their own leave no gap and break no chain', async () => {
      const stores = await Promise.all(Array.from({ length: 4 }, async () => createControlStore(await open())));
      const audit = { atMs: 1, actor: 'system', act: 'race', organization: null, subject: 's', details: {} };
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, number) => stores[number % 4]!.commit({ put: [], audit })),
      );
      const numbers = answers.map((answer) => (answer.kind === 'committed' ? answer.commit : 0)).toSorted((a, b) => a - b);
      expect(numbers).toEqual(numbers.map((_, place) => numbers[0]! + place));
      expect((await stores[0]!.verifyAudit()).brokenAt).toBeNull();
      await Promise.all(stores.map((store) => store.close()));
    });

    test('a listener hears the commits of others at once, and again after its connection was cut', async () => {
      const other = await createControlStore(await open());
      let heard = 0;
      const stop = await listenForCommits(url, () => heard++);
      const commit = (): Promise<unknown> =>
        other.commit({
          put: [],
          audit: { atMs: 1, actor: 'system', act: 'tell', organization: null, subject: 's', details: {} },
        });
      await vi.waitUntil(() => heard === 1, 5_000);
      await commit();
      await vi.waitUntil(() => heard === 2, 5_000);
      const database = await open();
      await database.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'plimsoll listen'");
      // Woken when it listens again, for what it may have missed.
      await vi.waitUntil(() => heard === 3, 5_000);
      await commit();
      await vi.waitUntil(() => heard === 4, 5_000);
      await stop();
      await Promise.all([database.close(), other.close()]);
    });
  });
}
