import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createTextStream } from './text-stream.ts';

/** A byte-level vocabulary, as GPT-2's is at its worst: every token is one byte. */
const decode = (tokens: readonly number[]): string => Buffer.from(tokens).toString('utf8');

test('a character spread over four tokens comes out whole, once', () => {
  const stream = createTextStream(decode);
  expect([...Buffer.from('a🦊b')].map((byte) => stream.push(byte))).toEqual(['a', '', '', '', '🦊', 'b']);
});

test('an answer that ends inside a character shows nothing of it', () => {
  const stream = createTextStream(decode);
  expect([...Buffer.from('né').subarray(0, 2)].map((byte) => stream.push(byte)).join('')).toBe('n');
});

test('bytes that are no character at all are given up on instead of held forever', () => {
  const stream = createTextStream(decode);
  const shown = [0xff, 0xff, 0xff, 0xff, 0x61].map((byte) => stream.push(byte));
  expect(shown.join('')).toBe('\uFFFD\uFFFD\uFFFD\uFFFDa');
});

test('tokens that decode to nothing (control tokens) pass without holding anything back', () => {
  const stream = createTextStream((tokens) =>
    tokens
      .filter((token) => token < 128)
      .map((token) => String.fromCharCode(token))
      .join(''),
  );
  expect([97, 200, 98].map((token) => stream.push(token))).toEqual(['a', '', 'b']);
});

test('whatever the text, the pieces are well formed and join to it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 30 }), (text) => {
      const stream = createTextStream(decode);
      const pieces = [...Buffer.from(text)].map((byte) => stream.push(byte));
      expect(pieces.every((piece) => piece.isWellFormed())).toBe(true);
      expect(pieces.join('')).toBe(text);
    }),
  );
});
