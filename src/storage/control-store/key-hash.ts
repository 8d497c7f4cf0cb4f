import { createHash, createHmac, randomBytes, type KeyObject } from 'node:crypto';
import { formatKey, type KeyUse } from '#core/tenancy';
import type { Key } from '#contracts/tenancy';

/** What is outside every store: whoever has the hashes and not this can neither use nor test a key. */
export type Pepper = Buffer | KeyObject;

/** A new key, to be shown once, and what may be kept of it. */
export interface NewKey {
  readonly presented: string;
  readonly hash: Key['hash'];
  readonly hint: string;
}

const SECRET_BYTES = 32;
const HINT_CHARACTERS = 4;

/** Makes a key of 256 random bits. */
export function newKey(use: KeyUse, pepper: Pepper): NewKey {
  const presented = formatKey(use, randomBytes(SECRET_BYTES).toString('base64url'));
  return { presented, hash: hashKey(presented, pepper), hint: hintOf(presented) };
}

/** How a key of ours is kept. */
export function hashKey(presented: string, pepper: Pepper): Key['hash'] {
  return { kind: 'hmac_sha256', hex: digestKey(presented, 'hmac_sha256', pepper).toString('hex') };
}

/** The 32 bytes by which a presented key is recognised. */
export function digestKey(presented: string, kind: Key['hash']['kind'], pepper: Pepper): Buffer {
  const hash = kind === 'sha256' ? createHash('sha256') : createHmac('sha256', pepper);
  return hash.update(presented).digest();
}

/** The last characters, to tell a key from others. */
export function hintOf(presented: string): string {
  return presented.slice(-HINT_CHARACTERS);
}
