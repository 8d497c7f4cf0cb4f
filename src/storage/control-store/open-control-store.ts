import type { Clock } from '#contracts/clock';
import type { ControlStore } from '../control-port.ts';
import { openDatabase, type StorePlace } from '../sql/open-database.ts';
import type { SqlDatabase } from '../sql/sql.ts';
import type { UsageStore } from '../ports.ts';
import { createUsageStore } from '../usage-store/usage-store.ts';
import { createBoundedStore, runControlCall } from './bounded-store.ts';
import { createControlStore, type ControlStoreOptions } from './control-store.ts';
import { listenForCommits } from './listen.ts';
import { asStoreAway } from './store-away.ts';

export type OpenControlOptions = Pick<ControlStoreOptions, 'onUnreadable'>;

const POSTGRES_BOUNDS = { connectionsMax: 4, timeoutMs: 4_000 } as const;
/** A transaction of a few statements on a slow server still ends by itself; one on a server that is stopped does not. */
const CALL_MS = 8_000;
const CLOSE_MS = 1_000;

/** Opens the control store of a place and brings its tables up to date, or rejects: for commands, which can only wait or give up. */
export async function openControlStore(place: StorePlace, options: OpenControlOptions = {}): Promise<ControlStore> {
  const database = await openDatabase(place, POSTGRES_BOUNDS);
  const listen = place.kind === 'postgres' ? (wake: () => void) => listenForCommits(place.url, wake) : undefined;
  return closingOnFailure(database, () => createControlStore(database, { ...options, ...(listen && { listen }) }));
}

/**
 * A served control store that need not be there: it is opened at the first call, and again after it was away. Until then, and
 * whenever it is gone, calls reject with `StoreAway`.
 */
export function connectControlStore(
  place: Extract<StorePlace, { readonly kind: 'postgres' }>,
  { clock, ...options }: OpenControlOptions & { readonly clock: Clock },
): ControlStore {
  let opening: Promise<ControlStore> | null = null;
  const opened = (): Promise<ControlStore> => {
    opening ??= openControlStore(place, options).catch((error: unknown) => {
      opening = null;
      throw error;
    });
    return opening;
  };
  return createBoundedStore({
    clock,
    timeoutMs: CALL_MS,
    async ask(call) {
      try {
        return await runControlCall(await opened(), call);
      } catch (error) {
        throw asStoreAway(error);
      }
    },
    // Without the store: it may come later than whoever watches.
    listen: (wake) => listenForCommits(place.url, wake),
    async close() {
      // A server that does not answer does not say goodbye either.
      const bound = Promise.withResolvers<void>();
      const timer = clock.after(CLOSE_MS, bound.resolve);
      const closing = opening?.then((store) => store.close()).catch(() => undefined);
      await Promise.race([closing, bound.promise]);
      timer.cancel();
    },
  });
}

/** The embedded usage and control stores on one database: a second embedded engine would cost 400 MB. */
export async function openEmbeddedStores(
  place: Extract<StorePlace, { readonly kind: 'embedded' }>,
  options: OpenControlOptions = {},
): Promise<{ readonly usage: UsageStore; readonly control: ControlStore }> {
  const database = await openDatabase(place);
  return closingOnFailure(database, async () => ({
    control: await createControlStore({ ...database, close: () => Promise.resolve() }, options),
    usage: await createUsageStore(database),
  }));
}

async function closingOnFailure<T>(database: SqlDatabase, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    await database.close();
    throw error;
  }
}
