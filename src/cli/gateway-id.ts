import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Random } from '#contracts/clock';

const ID = /^[0-9a-f]{32}$/;

/**
 * What this gateway is called in the control store: made once for a data directory, and the same after every kind of end. One that
 * was killed and began anew under another name would leave the old one behind, and for a day every revocation would wait for it.
 * @param dataDirectory - there, and no other process's
 */
export function gatewayId(dataDirectory: string, random: Pick<Random, 'hex'>): string {
  const file = path.join(dataDirectory, 'gateway-id');
  const known = existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
  if (ID.test(known)) return known;
  const id = random.hex(16);
  writeFileSync(`${file}.new`, `${id}\n`, { mode: 0o600, flush: true });
  renameSync(`${file}.new`, file);
  return id;
}
