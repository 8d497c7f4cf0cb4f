import { Cluster, Redis } from 'ioredis';
import type { RedisPlace } from './url.ts';

export type RedisClient = Redis | Cluster;

const CONNECT_MS = 2_000;
/** Longest pause between two attempts to connect again: what recovery waits for at most, beside the fleet's own probe. */
const RETRY_MS_MAX = 500;
/** A cluster that moved its slots is learnt from its redirections; one that lost a node, by asking this often. */
const SLOTS_REFRESH_MS = 1_000;

/** @returns a client that has not connected yet, and reconnects by itself once it has */
export function createClient(place: RedisPlace): RedisClient {
  if (!place.isCluster) return createNode(place, 0);
  const client = new Cluster(
    place.nodes.map(({ host, port }) => ({ host, port })),
    {
      redisOptions: nodeOptions(place),
      lazyConnect: true,
      enableOfflineQueue: false,
      retryDelayOnFailover: 0,
      retryDelayOnClusterDown: 0,
      slotsRefreshInterval: SLOTS_REFRESH_MS,
      clusterRetryStrategy: retryMs,
    },
  );
  client.on('error', ignored);
  return client;
}

/** One node of a place by its own, for a look at it. */
export function createNode(place: RedisPlace, at: number): Redis {
  const { host = '', port = 0 } = place.nodes[at] ?? {};
  const node = new Redis({ ...nodeOptions(place), host, port, enableOfflineQueue: false, retryStrategy: retryMs });
  node.on('error', ignored);
  return node;
}

/**
 * Nothing is queued and nothing is sent twice: an operation that cannot be sent now fails now, and one whose answer was lost may
 * have been done. What may be repeated is repeated by who knows its id.
 */
function nodeOptions({ username, password, database, isTls }: RedisPlace) {
  return {
    ...(username === null ? {} : { username }),
    ...(password === null ? {} : { password }),
    ...(isTls ? { tls: {} } : {}),
    db: database,
    // The older protocol: every server and proxy speaks it.
    protocol: 2,
    lazyConnect: true,
    connectTimeout: CONNECT_MS,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // What the check would find out is looked at once, at the start; a server that still loads says so in its answers.
    enableReadyCheck: false,
    disableClientInfo: true,
  } as const;
}

const retryMs = (times: number): number => Math.min(RETRY_MS_MAX, 20 * 2 ** Math.min(times, 10));

/** Said by the operations that fail; without a listener the error would end the process. */
const ignored = (): void => undefined;

/**
 * Why an operation failed, in a few words. A client's errors carry the whole command, a password among its arguments perhaps, so
 * only the code, or the server's own first word, leaves here.
 */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'failed';
  const { code, lastNodeError } = error as { code?: unknown; lastNodeError?: unknown };
  if (typeof code === 'string' && /^[A-Z0-9_]{3,40}$/.test(code)) return code;
  if (lastNodeError instanceof Error && lastNodeError !== error) return reasonOf(lastNodeError);
  const word = /^(?:ReplyError: )?([A-Z]{3,20})\b/.exec(error.message)?.[1];
  return word ?? (/ETIMEDOUT|timeout/i.test(error.message) ? 'ETIMEDOUT' : 'not connected');
}
