import { createHmac, createSecretKey } from 'node:crypto';
import { deriveKey } from './pepper.ts';

/**
 * What an end user is called here: the client's own name for them, hashed under its organization, so that nobody is named in a
 * store, a log or a limit, and equal names of two organizations are two users.
 */
export function createEndUserIds(pepper: Buffer): (organization: string, user: string) => string {
  const secret = createSecretKey(deriveKey(pepper, 'end users'));
  // An organization's id holds no line feed, so no two pairs are the same text.
  return (organization, user) =>
    `eu_${createHmac('sha256', secret).update(`${organization}\n${user}`).digest('hex').slice(0, 24)}`;
}
