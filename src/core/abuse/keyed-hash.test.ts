import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createKeyedHash } from './keyed-hash.ts';

test.each([
  [[0x03020100], 0x7e059ea6],
  [[0x03020100, 0x07060504], 0x577999b1],
  [[0x03020100, 0x07060504, 0x0b0a0908], 0x6b28096c],
  [[0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c], 0x8b31d501],
])('the keyed hash gives the published values of HalfSipHash-1-3 (%j)', (words, expected) => {
  const hash = createKeyedHash([0x03020100, 0x07060504]);
  expect(hash.words(words, words.length)).toBe(expected);
});

test('the keyed hash of a text is that of its UTF-16 bytes', () => {
  const hash = createKeyedHash([0x03020100, 0x07060504]);
  // Bytes 00 01 02 … 07 and 00 … 05, as text.
  expect(hash.text('\u0100\u0302\u0504\u0706')).toBe(0x577999b1);
  expect(hash.text('\u0100\u0302\u0504')).toBe(0xa0080b65);
});

test('two seeds have nothing in common', () => {
  const one = createKeyedHash([1, 2]);
  const other = createKeyedHash([1, 3]);
  fc.assert(fc.property(fc.string(), (text) => one.text(text) !== other.text(text)));
});

test('the further bits of a hash are those of its input, and not the first again', () => {
  const hash = createKeyedHash([5, 6]);
  const seen = new Set<number>();
  for (let at = 0; at < 1000; at++) {
    const low = hash.text(`key_${at}`);
    const high = hash.high();
    expect(high).not.toBe(low);
    seen.add(high);
  }
  expect(seen.size).toBe(1000);
});
