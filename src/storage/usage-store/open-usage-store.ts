import { openDatabase, type StorePlace } from '../sql/open-database.ts';
import type { UsageStore } from '../ports.ts';
import { createUsageStore } from './usage-store.ts';

/** Opens the usage store, and brings its tables up to date. */
export async function openUsageStore(place: StorePlace): Promise<UsageStore> {
  const database = await openDatabase(place);
  try {
    return await createUsageStore(database);
  } catch (error) {
    await database.close();
    throw error;
  }
}
