import type { Clock, Random, Timer } from '#contracts/clock';
import { SERVED_KINDS, type TenantObject } from '#contracts/tenancy';
import { StoreAway, type ChangePage, type ControlStore, type Versioned } from '#storage';
import type { TenantSnapshot } from './snapshot.ts';
import type { StorePosition } from './snapshot-format.ts';
import type { TenantDirectory } from './tenant-directory.ts';

export interface FollowOptions {
  readonly store: Pick<ControlStore, 'changesAfter' | 'audit' | 'heartbeat' | 'depart' | 'watch'>;
  readonly directory: TenantDirectory;
  readonly snapshot: TenantSnapshot;
  readonly clock: Clock;
  readonly random: Random;
  /** `id` is the same after a restart. */
  readonly gateway: { readonly id: string; readonly name: string };
  readonly onEvent: (event: FollowEvent) => void;
}

export type FollowEvent = { readonly level: 'info' | 'warn' | 'error'; readonly message: string };

/** Keeps a directory up to date with the control store, and tells the store how far it is. */
export interface TenantFollower {
  /**
   * Takes what was committed in this process, at once: a key that is revoked here is refused here before anyone is told so. What
   * the store has shown already in a newer version is passed over.
   */
  committed(objects: readonly Versioned<TenantObject>[]): void;
  /** Resolves true when everything up to `commit` is applied and acknowledged, false when that takes longer than `withinMs`. */
  caughtUp(commit: number, withinMs: number): Promise<boolean>;
  /**
   * Resolves true when the store has been read to its end once since the start.
   * @param orAway - resolve false as soon as it is known to be away, too
   */
  ready(withinMs: number, options?: { readonly orAway: boolean }): Promise<boolean>;
  /** How long nothing has been heard of the store, ms; 0 while it is heard. Monotonic; a restart goes on where it was. */
  cutOffForMs(): number;
  status(): { readonly commit: number; readonly awayBecause: string | null };
  /** Says goodbye to the store, within a bound. */
  close(): Promise<void>;
}

/** The store belongs to another installation: what this gateway knows of its tenants is not taken from it, nor given up for it. */
class AnotherStore extends Error {
  override readonly name = 'AnotherStore';
}

const PAGE = 256;
const POLL_MS = 1_000;
const BACK_OFF_MS_MAX = 5_000;
const HEARTBEAT_MS = 2_000;
const SNAPSHOT_HEARD_MS = 60_000;
/** Shorter silences are those of a poll, a restart or a slow query, and nobody is cut off by them. */
const SILENCE_MS = 3_000;
const GOODBYE_MS = 1_000;

interface Waiter {
  readonly isDone: () => boolean;
  readonly settle: (isDone: boolean) => void;
}

export function followTenants(options: FollowOptions): TenantFollower {
  const { store, directory, snapshot, clock, random, gateway, onEvent } = options;
  const { loaded } = snapshot;
  const startedUs = clock.nowUs();
  const silentBeforeMs = loaded === null ? 0 : Math.max(0, clock.wallMs() - loaded.heardAtMs);

  let position: StorePosition = loaded?.position ?? { origin: '', commit: 0, hash: '' };
  let acknowledged = -1;
  let heardUs: number | null = null;
  let beatUs = -Infinity;
  let notedUs = clock.nowUs();
  let awayBecause: string | null = null;
  let failures = 0;
  let isClosed = false;
  let isWoken = false;
  let endPause: (() => void) | null = null;
  const waiters = new Set<Waiter>();
  /** The commits of objects that were taken before the store was read that far: a page that is on its way may hold older versions. */
  const ahead = new Map<string, number>();

  const wake = (): void => {
    isWoken = true;
    endPause?.();
  };
  const watching = store.watch(wake);
  // A store that cannot be watched is polled.
  watching.catch(() => undefined);
  const running = run();

  return {
    committed(objects) {
      const newer = objects.filter((one) => one.commit > position.commit && one.commit >= aheadOf(one));
      for (const { object, commit } of newer) ahead.set(nameOf(object), commit);
      directory.apply(newer.map(({ object }) => object));
    },
    caughtUp: (commit, withinMs) => until(() => position.commit >= commit && acknowledged >= commit, withinMs),
    async ready(withinMs, { orAway } = { orAway: false }) {
      await until(() => heardUs !== null || (orAway && failures > 0), withinMs);
      return heardUs !== null;
    },
    cutOffForMs,
    status: () => ({ commit: position.commit, awayBecause }),
    async close() {
      isClosed = true;
      wake();
      await watching.then((stop) => stop()).catch(() => undefined);
      await running;
      for (const waiter of waiters) waiter.settle(false);
      await inTime(store.depart(gateway.id), GOODBYE_MS);
    },
  };

  function cutOffForMs(): number {
    const silentMs = heardUs === null ? silentBeforeMs + (clock.nowUs() - startedUs) / 1_000 : (clock.nowUs() - heardUs) / 1_000;
    return silentMs <= SILENCE_MS ? 0 : Math.floor(silentMs);
  }

  function until(isDone: () => boolean, withinMs: number): Promise<boolean> {
    if (isDone()) return Promise.resolve(true);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const settle = (how: boolean): void => {
      timer.cancel();
      waiters.delete(waiter);
      resolve(how);
    };
    const waiter: Waiter = { isDone, settle };
    const timer: Timer = clock.after(withinMs, () => settle(false));
    waiters.add(waiter);
    wake();
    return promise;
  }

  /** Ends when closed, and never rejects: whatever goes wrong is a store that is away. */
  async function run(): Promise<void> {
    while (!isClosed) {
      try {
        await round();
        hear();
      } catch (error) {
        miss(error);
      }
      for (const waiter of waiters) if (waiter.isDone()) waiter.settle(true);
      if (!isClosed) await pause();
    }
  }

  async function round(): Promise<void> {
    let page = await store.changesAfter(position.commit, SERVED_KINDS, PAGE);
    if (!(await hasOurPast(page))) {
      await readAnew();
    } else {
      for (;;) {
        if (page.throughCommit > position.commit) await take(page);
        if (!page.hasMore || isClosed) break;
        page = await store.changesAfter(position.commit, SERVED_KINDS, PAGE);
      }
    }
    const now = clock.nowUs();
    if (position.commit !== acknowledged || now - beatUs >= HEARTBEAT_MS * 1_000) {
      const { commit } = position;
      await store.heartbeat({ ...gateway, commit });
      acknowledged = commit;
      beatUs = now;
    }
    if (now - notedUs >= SNAPSHOT_HEARD_MS * 1_000) {
      snapshot.heard();
      notedUs = now;
    }
  }

  async function take(page: ChangePage): Promise<void> {
    const origin = position.origin === '' ? await readOrigin() : position.origin;
    const put = page.objects.filter((one) => one.commit >= aheadOf(one)).map(({ object }) => object);
    directory.apply(put, page.unreadable);
    position = { origin, commit: page.throughCommit, hash: page.throughHash };
    for (const [name, commit] of ahead) if (commit <= position.commit) ahead.delete(name);
    snapshot.changed({ put, drop: page.unreadable, position, hasMore: page.hasMore });
  }

  function aheadOf({ object }: Versioned<TenantObject>): number {
    return ahead.get(nameOf(object)) ?? 0;
  }

  /**
   * Whether the store that answers has the commits that were applied here. One that was set back, by a failover that lost its last
   * commits or by a backup, gives their numbers to others.
   */
  async function hasOurPast(page: ChangePage): Promise<boolean> {
    if (position.commit === 0) return true;
    if (page.throughCommit < position.commit) return false;
    if (page.throughCommit === position.commit) return page.throughHash === position.hash;
    const [entry] = await store.audit({ organization: null, after: position.commit - 1, max: 1 });
    return entry?.hash === position.hash;
  }

  /** Reads everything from the start, serving on meanwhile, and drops what was not there. */
  async function readAnew(): Promise<void> {
    const origin = await readOrigin();
    if (origin !== position.origin)
      throw new AnotherStore(
        'the control store is empty, or another installation than the one whose tenants are served here: if that is meant, remove tenants.snapshot* from the data directory and start anew',
      );
    onEvent({
      level: 'warn',
      message: `the control store has lost commits that were applied here (${position.commit}): everything is read again`,
    });
    ahead.clear();
    const seen = new Set<string>();
    let after = 0;
    let hash = '';
    for (let hasMore = true; hasMore;) {
      const page = await store.changesAfter(after, SERVED_KINDS, PAGE);
      for (const { object } of page.objects) seen.add(nameOf(object));
      directory.apply(
        page.objects.map(({ object }) => object),
        page.unreadable,
      );
      ({ throughCommit: after, throughHash: hash, hasMore } = page);
    }
    directory.keepOnly(seen);
    position = { origin, commit: after, hash };
    snapshot.replaced(position);
  }

  async function readOrigin(): Promise<string> {
    const [first] = await store.audit({ organization: null, after: 0, max: 1 });
    return first?.hash ?? '';
  }

  function hear(): void {
    if (awayBecause !== null) onEvent({ level: 'info', message: `the control store answers again (commit ${position.commit})` });
    heardUs = clock.nowUs();
    awayBecause = null;
    failures = 0;
  }

  function miss(error: unknown): void {
    if (isClosed) return;
    const because = error instanceof Error ? error.message : String(error);
    // Said once for each reason, and not once a second.
    if (because !== awayBecause)
      onEvent({
        level: error instanceof StoreAway ? 'warn' : 'error',
        message: `tenants are served from memory, as of commit ${position.commit}: ${because}`,
      });
    awayBecause = because;
    failures++;
  }

  /** Until somebody wakes us, or it is time to look. Not all gateways at once: each waits a little more or less. */
  async function pause(): Promise<void> {
    const backOffMs = failures === 0 ? POLL_MS : Math.min(POLL_MS * 2 ** (failures - 1), BACK_OFF_MS_MAX);
    // A store that is away is not asked more often because somebody waits for it.
    if (!isWoken || failures > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = clock.after(backOffMs * (0.8 + 0.4 * random.next()), resolve);
      endPause = (): void => void ((failures === 0 || isClosed) && resolve());
      await promise;
      endPause = null;
      timer.cancel();
    }
    isWoken = false;
  }

  async function inTime(work: Promise<void>, withinMs: number): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = clock.after(withinMs, late.resolve);
    await Promise.race([work.catch(() => undefined), late.promise]);
    timer.cancel();
  }
}

/** As `TenantDirectory.keepOnly` names them. */
function nameOf({ kind, id }: TenantObject): string {
  return `${kind} ${id}`;
}
