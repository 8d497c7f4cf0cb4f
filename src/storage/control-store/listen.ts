import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { COMMIT_CHANNEL } from './control-store.ts';

const CONNECT_MS = 5_000;
const BACK_OFF_MS_MIN = 250;
const BACK_OFF_MS_MAX = 10_000;

/**
 * Wakes on every commit that anyone makes in the database of `url`, over a connection of its own that is made again when it
 * breaks; then too it wakes, for what was missed. A wake too many is cheap, and one too few is found by whoever polls.
 * @returns stops it
 */
export async function listenForCommits(url: string, wake: () => void): Promise<() => Promise<void>> {
  const stop = new AbortController();
  const running = keepListening(url, wake, stop.signal);
  return async () => {
    stop.abort();
    await running;
  };
}

async function keepListening(url: string, wake: () => void, signal: AbortSignal): Promise<void> {
  let backOffMs = BACK_OFF_MS_MIN;
  while (!signal.aborted) {
    const hasListened = await listenOnce(url, wake, signal);
    backOffMs = hasListened ? BACK_OFF_MS_MIN : Math.min(backOffMs * 2, BACK_OFF_MS_MAX);
    await wait(backOffMs, undefined, { signal, ref: false }).catch(() => undefined);
  }
}

/** Listens until the connection ends. @returns whether it ever did listen */
async function listenOnce(url: string, wake: () => void, signal: AbortSignal): Promise<boolean> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: CONNECT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    application_name: 'plimsoll listen',
  });
  const ended = Promise.withResolvers<void>();
  const end = (): void => ended.resolve();
  client.on('error', end);
  client.on('end', end);
  client.on('notification', wake);
  signal.addEventListener('abort', end, { once: true });
  let hasListened = false;
  try {
    await client.connect();
    await client.query(`listen ${COMMIT_CHANNEL}`);
    hasListened = true;
    wake();
    await ended.promise;
  } catch {
    // Whoever polls finds out that the store is away, and says so.
  } finally {
    signal.removeEventListener('abort', end);
    client.off('notification', wake);
    // A server that is stopped answers no farewell: the socket is closed all the same, and nobody waits for it.
    void client.end().catch(() => undefined);
  }
  return hasListened;
}
