import path from 'node:path';
import { lockDirectory } from '../lock-directory.ts';
import type { UsageStore } from '../ports.ts';
import { openEmbedded } from './embedded.ts';
import { openPostgres } from './postgres.ts';
import type { SqlDatabase } from './sql.ts';
import { createUsageStore } from './usage-store.ts';

export type UsageStorePlace =
  /** `isLocked`: the caller holds the directory's lock, in another thread perhaps. */
  | { readonly kind: 'embedded'; readonly directory: string; readonly isLocked?: boolean }
  | { readonly kind: 'postgres'; readonly url: string; readonly schema?: string };

/**
 * Opens the usage store, and brings its tables up to date. The embedded one belongs to one process at a time: it is refused
 * with `DirectoryInUse` while a server has it.
 */
export async function openUsageStore(place: UsageStorePlace): Promise<UsageStore> {
  if (place.kind === 'postgres') return prepare(await openPostgres(place));
  const lock = place.isLocked === true ? null : await lockDirectory(place.directory);
  try {
    const database = await openEmbedded(path.join(place.directory, 'pg'));
    return await prepare({
      ...database,
      async close() {
        await database.close();
        await lock?.release();
      },
    });
  } catch (error) {
    await lock?.release();
    throw error;
  }
}

async function prepare(database: SqlDatabase): Promise<UsageStore> {
  try {
    return await createUsageStore(database);
  } catch (error) {
    await database.close();
    throw error;
  }
}
