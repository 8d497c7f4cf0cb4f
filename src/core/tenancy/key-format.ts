/**
 * The shape of our keys: `plimsoll_api_` or `plimsoll_admin_`, 43 base64url characters that carry 256 random bits, and 6 base62
 * characters of a CRC-32 over all that stands before them. The prefix lets scanners for leaked secrets find a key, the checksum
 * lets them tell it from what merely looks like one, and costs a mistyped key no look-up.
 */

/** What scanners look for; every match should then be put before {@link readKey}, which judges the checksum. */
export const KEY_PATTERN = /\bplimsoll_(?:api|admin)_[A-Za-z0-9_-]{43}[0-9A-Za-z]{6}(?![A-Za-z0-9_-])/;

export type KeyUse = 'api' | 'admin';

/**
 * `ours`: may exist, so look it up. `isChecked` is false for keys of version 0.1, which have no checksum.
 * `mistyped`: has our prefix and cannot exist. `foreign`: not made here; only a key that moved in can look like this.
 */
export type KeyReading =
  | { readonly kind: 'ours'; readonly use: KeyUse; readonly isChecked: boolean }
  | { readonly kind: 'mistyped' }
  | { readonly kind: 'foreign' };

const SECRET_CHARACTERS = 43;
const CHECKSUM_CHARACTERS = 6;
const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const PREFIXES = [
  { use: 'api', text: 'plimsoll_api_' },
  { use: 'admin', text: 'plimsoll_admin_' },
] as const;
const SECRET = /^[A-Za-z0-9_-]{43}$/;

/**
 * Writes a key out.
 * @param secret - 32 random bytes as 43 characters of base64url
 */
export function formatKey(use: KeyUse, secret: string): string {
  const body = `plimsoll_${use}_${secret}`;
  return body + checksumOf(body);
}

/** Judges a presented key by its looks alone. */
export function readKey(presented: string): KeyReading {
  for (const { use, text } of PREFIXES) {
    if (!presented.startsWith(text)) continue;
    const withoutChecksum = text.length + SECRET_CHARACTERS;
    if (!SECRET.test(presented.slice(text.length, withoutChecksum))) return { kind: 'mistyped' };
    if (presented.length === withoutChecksum) return { kind: 'ours', use, isChecked: false };
    const isWhole = presented.length === withoutChecksum + CHECKSUM_CHARACTERS;
    const isRight = isWhole && presented.endsWith(checksumOf(presented.slice(0, withoutChecksum)));
    return isRight ? { kind: 'ours', use, isChecked: true } : { kind: 'mistyped' };
  }
  return { kind: 'foreign' };
}

/** CRC-32 in six base62 digits, most significant first; 62^6 is more than 2^32. */
function checksumOf(text: string): string {
  let rest = crc32(text);
  let digits = '';
  for (let count = 0; count < CHECKSUM_CHARACTERS; count++) {
    digits = BASE62.charAt(rest % 62) + digits;
    rest = Math.floor(rest / 62);
  }
  return digits;
}

/**
 * CRC-32 of ASCII text, as in zlib. Bit by bit: a table would be faster, and a key is read once and then remembered.
 * Source: ISO 3309, reflected polynomial 0xEDB88320.
 */
function crc32(text: string): number {
  let crc = 0xffffffff;
  for (let at = 0; at < text.length; at++) {
    crc ^= text.charCodeAt(at);
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
