import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatKey, KEY_PATTERN, readKey } from './key-format.ts';

const secret = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('base64url'));
const use = fc.constantFrom('api' as const, 'admin' as const);

test('a key reads back as what it was made for, and scanners find it in any text', () => {
  fc.assert(
    fc.property(use, secret, (made, text) => {
      const key = formatKey(made, text);
      expect(readKey(key)).toEqual({ kind: 'ours', use: made, isChecked: true });
      expect(KEY_PATTERN.exec(`export KEY="${key}"\n`)?.[0]).toBe(key);
    }),
  );
});

test('the checksum is the CRC-32 of everything before it, in base62', () => {
  const key = formatKey('api', 'A'.repeat(43));
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  const value = key
    .slice(-6)
    .split('')
    .reduce((sum, digit) => sum * 62 + digits.indexOf(digit), 0);
  expect(value).toBe(crc32(key.slice(0, -6)));
});

test('one wrong, swapped, missing or added character makes a key that is refused without a look-up', () => {
  fc.assert(
    fc.property(use, secret, fc.nat(), fc.constantFrom('change', 'swap', 'drop', 'add'), (made, text, seed, how) => {
      const key = formatKey(made, text);
      // The prefix is not mistyped here: without it a key is nobody's, and not looked up either.
      const start = `plimsoll_${made}_`.length;
      const at = start + (seed % (key.length - start - 1));
      const [left, one, two] = [key.slice(0, at), key.charAt(at), key.charAt(at + 1)];
      const other = one === 'x' ? 'y' : 'x';
      const rest = key.slice(at + 1);
      const typed = {
        change: left + other + rest,
        swap: left + two + one + key.slice(at + 2),
        drop: left + rest,
        add: left + other + one + rest,
      };
      if (typed[how] !== key) expect(readKey(typed[how])).toEqual({ kind: 'mistyped' });
    }),
    { numRuns: 300 },
  );
});

test('keys of version 0.1, which have no checksum, are still looked up', () => {
  expect(readKey(`plimsoll_api_${'a'.repeat(43)}`)).toEqual({ kind: 'ours', use: 'api', isChecked: false });
  expect(readKey(`plimsoll_admin_${'-'.repeat(43)}`)).toEqual({ kind: 'ours', use: 'admin', isChecked: false });
});

test.each(['', 'sk-something', 'plimsoll_', 'plimsoll_root_aaaa', `Plimsoll_api_${'a'.repeat(43)}`, ' plimsoll_api_'])(
  'what has not our prefix is foreign: %j',
  (text) => expect(readKey(text)).toEqual({ kind: 'foreign' }),
);

test.each(['plimsoll_api_', `plimsoll_api_${'ü'.repeat(43)}`, `plimsoll_admin_${'a'.repeat(10_000)}`])(
  'what has our prefix and another shape is mistyped: %#',
  (text) => expect(readKey(text)).toEqual({ kind: 'mistyped' }),
);
