import path from 'node:path';
import { lockDirectory } from '../lock-directory.ts';
import { openEmbedded } from './embedded.ts';
import { openPostgres, type PostgresBounds } from './postgres.ts';
import type { SqlDatabase } from './sql.ts';

export type StorePlace =
  /** `isLocked`: the caller holds the directory's lock, in another thread perhaps. */
  | { readonly kind: 'embedded'; readonly directory: string; readonly isLocked?: boolean }
  | { readonly kind: 'postgres'; readonly url: string; readonly schema?: string };

/**
 * Opens the database of a place. The embedded one belongs to one process at a time: it is refused with `DirectoryInUse` while a
 * server has it.
 */
export async function openDatabase(place: StorePlace, bounds: PostgresBounds = {}): Promise<SqlDatabase> {
  if (place.kind === 'postgres') return openPostgres({ ...place, ...bounds });
  const lock = place.isLocked === true ? null : await lockDirectory(place.directory);
  try {
    const database = await openEmbedded(path.join(place.directory, 'pg'));
    return {
      ...database,
      async close() {
        await database.close();
        await lock?.release();
      },
    };
  } catch (error) {
    await lock?.release();
    throw error;
  }
}
