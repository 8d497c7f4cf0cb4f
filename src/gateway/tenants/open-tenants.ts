import type { Clock, Random } from '#contracts/clock';
import { StoreAway, type ControlStore } from '#storage';
import { createEndUserIds } from './end-user-id.ts';
import { ensureFirstTenants, firstKeysPathOf } from './first-tenants.ts';
import { followTenants, type TenantFollower } from './follow.ts';
import { openSnapshot, type TenantSnapshot } from './snapshot.ts';
import { createTenantDirectory, type TenantDirectory } from './tenant-directory.ts';
import type { Tenants } from './tenants.ts';

export interface OpenTenantsOptions {
  readonly store: ControlStore;
  readonly dataDirectory: string;
  readonly pepper: Buffer;
  readonly clock: Clock;
  readonly random: Random;
  /** `id` is the same after a restart, and no other gateway's. */
  readonly gateway: { readonly id: string; readonly name: string };
  readonly onEvent: (event: { readonly level: 'info' | 'warn' | 'error'; readonly message: string }) => void;
  /** The longest to wait for a store without which nothing can be served, ms; 30,000 when absent. */
  readonly startMs?: number;
}

/** Everything that a gateway knows of its tenants, kept up to date until it is closed. */
export interface OpenTenants extends Tenants, Pick<TenantFollower, 'committed' | 'caughtUp' | 'status'> {
  readonly directory: TenantDirectory;
  readonly snapshot: Pick<TenantSnapshot, 'status' | 'flush'>;
  readonly firstKeysPath: string;
  /** Whether the first keys were made just now, by this process. */
  readonly isNew: boolean;
  /** Keys of version 0.1 that were taken over just now. */
  readonly imported: number;
  /** The store is the caller's to close, afterwards. */
  close(): Promise<void>;
}

const START_MS = 30_000;
const TRY_AGAIN_MS = 250;
/** With a snapshot there is something to serve: the store is given a moment to say what is new. */
const CATCH_UP_MS = 2_000;

/**
 * Loads the snapshot, makes the first tenants of an empty store, and begins to follow the store. With a snapshot a store that is
 * away delays nothing but the news; without one it is waited for, and then the opening rejects with `StoreAway`.
 */
export async function openTenants(options: OpenTenantsOptions): Promise<OpenTenants> {
  const { store, dataDirectory, pepper, clock, random, gateway, onEvent } = options;
  const { wallMs } = clock;
  const startMs = options.startMs ?? START_MS;
  const directory = createTenantDirectory({ pepper, wallMs });
  const snapshot = await openSnapshot({ dataDirectory, pepper, directory, wallMs, onEvent });
  const begin = (): ReturnType<typeof ensureFirstTenants> => ensureFirstTenants({ store, dataDirectory, pepper, wallMs });
  const first = snapshot.loaded === null ? await untilThere(begin, clock, startMs) : null;
  const follower = followTenants({ store, directory, snapshot, clock, random, gateway, onEvent });
  const isReady = snapshot.loaded === null ? await follower.ready(startMs) : await follower.ready(CATCH_UP_MS, { orAway: true });
  if (!isReady && snapshot.loaded === null) {
    await follower.close();
    await snapshot.close();
    throw new StoreAway(
      `the tenants could not be read within ${startMs} ms: ${follower.status().awayBecause ?? 'they are many'}`,
    );
  }
  return {
    find: directory.find,
    endUser: directory.endUser,
    actionsFor: directory.actionsFor,
    key: directory.key,
    endUserId: createEndUserIds(pepper),
    cutOffForMs: follower.cutOffForMs,
    committed: follower.committed,
    caughtUp: follower.caughtUp,
    status: follower.status,
    directory,
    snapshot,
    firstKeysPath: first?.firstKeysPath ?? firstKeysPathOf(dataDirectory),
    isNew: first?.isNew ?? false,
    imported: first?.imported ?? 0,
    async close() {
      await follower.close();
      await snapshot.close();
    },
  };
}

/** An embedded store takes seconds to open, a served one may be started beside us. */
async function untilThere<T>(task: () => Promise<T>, clock: Clock, withinMs: number): Promise<T> {
  const endUs = clock.nowUs() + withinMs * 1_000;
  for (;;) {
    try {
      return await task();
    } catch (error) {
      if (!(error instanceof StoreAway) || clock.nowUs() >= endUs) throw error;
      await new Promise<void>((resolve) => void clock.after(TRY_AGAIN_MS, resolve));
    }
  }
}
