import { mkdir, open, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import type { SqlDatabase } from './sql.ts';

/**
 * PostgreSQL inside this process (PGlite), its files in `directory`. It takes no lock: the caller holds one. It never syncs its
 * files either, so `persist` does: a checkpoint, and then every file that has changed since the last time.
 */
export async function openEmbedded(directory: string): Promise<SqlDatabase> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const database = await PGlite.create({ dataDir: directory });
  let persistedMs = 0;
  return {
    query: async (text, parameters) => (await database.query<{ [column: string]: unknown }>(text, parameters?.slice())).rows,
    transaction: (work) =>
      database.transaction((transaction) =>
        work({
          query: async (text, parameters) =>
            (await transaction.query<{ [column: string]: unknown }>(text, parameters?.slice())).rows,
        }),
      ),
    async persist() {
      await database.query('checkpoint');
      persistedMs = await syncChanged(directory, persistedMs);
    },
    close: () => database.close(),
  };
}

/** Syncs what changed since `sinceMs`, and answers from when on the next call must look. */
async function syncChanged(directory: string, sinceMs: number): Promise<number> {
  let newestMs = sinceMs;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (!entry.isFile() && !entry.isDirectory()) continue;
    const { mtimeMs } = await stat(file);
    // Equal counts as changed: file times are no finer than the kernel's tick.
    if (mtimeMs < sinceMs) continue;
    newestMs = Math.max(newestMs, mtimeMs);
    await using handle = await open(file, 'r');
    await handle.sync();
  }
  return newestMs;
}
