import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';

/**
 * Who may call. Keys are kept as HMAC-SHA-256 under a pepper in a file of its own; the keys themselves are in no file but
 * `first-keys.json`, which the operator may delete. Everything is in memory: authentication does no I/O.
 */
export interface Keyring {
  /** The owner of a presented key, or null for a key that is not one of ours. */
  find(presented: string): KeyEntry | null;
}

export interface KeyEntry {
  readonly id: string;
  readonly organization: string;
  readonly workspace: string;
  /** `api` keys call models; `admin` keys operate the gateway. Neither does the other's work. */
  readonly role: 'api' | 'admin';
}

const fileSchema = z.strictObject({
  version: z.literal(1),
  keys: z.array(
    z.strictObject({
      id: z.string(),
      organization: z.string(),
      workspace: z.string(),
      role: z.enum(['api', 'admin']),
      digest: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  ),
});
type KeyFile = z.infer<typeof fileSchema>;

/** Longer than any key of ours: what is longer is not looked up. */
const PRESENTED_CHARACTERS_MAX = 512;
/** Presented keys whose owner is remembered, so that the digest (2 µs) is not made again for each request. */
const REMEMBERED_MAX = 10_000;

/**
 * Opens the keyring of a data directory, and on first boot makes an API key and an admin key for a first organization.
 * @returns the ring, and whether its first keys were made just now
 */
export function openKeyring(dataDirectory: string): {
  readonly keyring: Keyring;
  readonly firstKeysPath: string;
  readonly isNew: boolean;
} {
  mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
  const keysPath = path.join(dataDirectory, 'keys.json');
  const pepperPath = path.join(dataDirectory, 'pepper');
  const firstKeysPath = path.join(dataDirectory, 'first-keys.json');
  const isNew = !existsSync(keysPath);
  if (isNew) createFirstKeys({ keysPath, pepperPath, firstKeysPath });
  const file = fileSchema.parse(JSON.parse(readFileSync(keysPath, 'utf8')));
  return { keyring: createKeyring(file.keys, readFileSync(pepperPath)), firstKeysPath, isNew };
}

function createKeyring(keys: KeyFile['keys'], pepper: Buffer): Keyring {
  const byDigest = new Map(keys.map(({ digest, ...entry }) => [digest, { entry, digest: Buffer.from(digest, 'hex') }]));
  // Looked up by the key as presented. A string of the engine is hashed under a random seed and compared only when the hashes
  // are equal, so the time this takes tells a guesser nothing about how much of a guess was right.
  const remembered = new Map<string, KeyEntry>();
  return {
    find(presented) {
      if (presented.length > PRESENTED_CHARACTERS_MAX) return null;
      const known = remembered.get(presented);
      if (known) return known;
      const digest = digestOf(presented, pepper);
      const found = byDigest.get(digest.toString('hex'));
      if (!found || !timingSafeEqual(found.digest, digest)) return null;
      if (remembered.size >= REMEMBERED_MAX) remembered.clear();
      remembered.set(presented, found.entry);
      return found.entry;
    },
  };
}

const digestOf = (key: string, pepper: Buffer): Buffer => createHmac('sha256', pepper).update(key).digest();

function createFirstKeys({
  keysPath,
  pepperPath,
  firstKeysPath,
}: {
  readonly keysPath: string;
  readonly pepperPath: string;
  readonly firstKeysPath: string;
}): void {
  const pepper = randomBytes(32);
  const first = { api_key: newKey('api'), admin_key: newKey('admin') };
  const entry = (role: 'api' | 'admin', key: string): KeyFile['keys'][number] => ({
    id: `key_first_${role}`,
    organization: 'org_first',
    workspace: 'ws_first',
    role,
    digest: digestOf(key, pepper).toString('hex'),
  });
  const file: KeyFile = { version: 1, keys: [entry('api', first.api_key), entry('admin', first.admin_key)] };
  writePrivately(pepperPath, pepper);
  writePrivately(firstKeysPath, `${JSON.stringify(first, null, 2)}\n`);
  // Last: a boot that was cut short before this line starts anew.
  writePrivately(keysPath, `${JSON.stringify(file, null, 2)}\n`);
}

/** 256 random bits behind a prefix that a scanner for leaked secrets can look for. */
const newKey = (role: 'api' | 'admin'): string => `plimsoll_${role}_${randomBytes(32).toString('base64url')}`;

function writePrivately(file: string, content: string | Buffer): void {
  const temporary = `${file}.new`;
  writeFileSync(temporary, content, { mode: 0o600 });
  chmodSync(temporary, 0o600);
  renameSync(temporary, file);
}
