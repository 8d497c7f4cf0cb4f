import { err, ok, type Result } from '#core/kernel';

/** Where the shared counters are, taken apart. */
export interface RedisPlace {
  readonly isCluster: boolean;
  readonly isTls: boolean;
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  readonly username: string | null;
  readonly password: string | null;
  readonly database: number;
  /** For people: without credentials. */
  readonly shown: string;
}

const PORT = 6379;
const SCHEMES: Readonly<Record<string, { readonly isCluster: boolean; readonly isTls: boolean }>> = {
  redis: { isCluster: false, isTls: false },
  rediss: { isCluster: false, isTls: true },
  'redis-cluster': { isCluster: true, isTls: false },
  'rediss-cluster': { isCluster: true, isTls: true },
};

/**
 * Reads `redis://[user[:password]@]host[:port][/database]`, `rediss://…` for TLS, and `redis-cluster://[…@]host:port,host:port`.
 * @returns the place, or what is wrong with the text, never with any of the text itself: it may hold a password
 */
export function parseRedisUrl(text: string): Result<RedisPlace, string> {
  const parts = /^([a-z-]+):\/\/(?:([^@]*)@)?([^@/?#]+)(?:\/(\d{0,4}))?$/.exec(text);
  const scheme = SCHEMES[parts?.[1] ?? ''];
  if (!parts || !scheme)
    return err('not a URL of the form redis://host:port, rediss://…, or redis-cluster://host:port,host:port');
  const [username, password] = credentials(parts[2] ?? '');
  if (username === undefined || password === undefined) return err('the credentials in the URL are not percent-encoded');
  const database = Number(parts[4] ?? '0');
  if (scheme.isCluster && database !== 0) return err('a cluster has only the database 0');
  const nodes: { host: string; port: number }[] = [];
  for (const node of (parts[3] ?? '').split(',')) {
    const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+)(?::(\d{1,5}))?$/.exec(node);
    const port = Number(match?.[2] ?? PORT);
    if (!match?.[1] || port < 1 || port > 65_535) return err('a host in the URL is not host or host:port');
    nodes.push({ host: match[1].replace(/^\[|\]$/g, ''), port });
  }
  if (!scheme.isCluster && nodes.length > 1) return err('several hosts are a cluster: redis-cluster://host:port,host:port');
  const shown = `${parts[1]}://${nodes.map(({ host, port }) => `${host}:${port}`).join(',')}${database ? `/${database}` : ''}`;
  return ok({ ...scheme, nodes, username, password, database, shown });
}

/** undefined where it cannot be read, null where nothing is said. */
function credentials(text: string): readonly [string | null | undefined, string | null | undefined] {
  if (text === '') return [null, null];
  const colon = text.indexOf(':');
  const [username, password] = colon === -1 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)];
  try {
    return [decodeURIComponent(username) || null, decodeURIComponent(password) || null];
  } catch {
    return [undefined, undefined];
  }
}
