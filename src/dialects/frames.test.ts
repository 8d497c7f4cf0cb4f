import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createFrameReader, type Frame } from './frames.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

function readAll(chunks: readonly Uint8Array[], frameUnitsMax?: number): readonly Frame[] {
  const reader = createFrameReader(frameUnitsMax);
  return [...chunks.flatMap((chunk) => reader.push(chunk)), ...reader.end()];
}

test.each<[string, string, readonly Frame[]]>([
  ['a named event', 'event: ping\ndata: {}\n\n', [{ name: 'ping', data: '{}' }]],
  ['an event without a name', 'data: [DONE]\n\n', [{ name: '', data: '[DONE]' }]],
  [
    'no space after the colon, and only one taken',
    'data:a\n\ndata:  b\n\n',
    [
      { name: '', data: 'a' },
      { name: '', data: ' b' },
    ],
  ],
  ['data of several lines', 'data: a\ndata\ndata: b\n\n', [{ name: '', data: 'a\n\nb' }]],
  ['comments, ids and retries', ': hello\nid: 7\nretry: 10\ndata: x\n\n: bye\n\n', [{ name: '', data: 'x' }]],
  ['a name without data is no frame, and does not leak into the next', 'event: a\n\ndata: x\n\n', [{ name: '', data: 'x' }]],
  ['CRLF and CR line ends', 'data: a\r\n\r\ndata: b\r\rdata: c\r\n\n', ['a', 'b', 'c'].map((data) => ({ name: '', data }))],
  ['a byte order mark', '\uFEFFdata: a\n\n', [{ name: '', data: 'a' }]],
  ['a last frame without its blank line', 'data: a\n\ndata: [DONE]', ['a', '[DONE]'].map((data) => ({ name: '', data }))],
  ['nothing', '', []],
])('server-sent events: %s', (_, text, frames) => {
  expect(readAll([bytes(text)])).toEqual(frames);
});

test('any split of the bytes, also inside a character or a line end, gives the same frames', () => {
  const piece = fc.constantFrom('data: ', 'event: ', 'é', '世界', '🙂', '\n', '\r\n', '\r', '\n\n', ':', 'x', '\uFEFF');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), fc.array(fc.nat(200), { maxLength: 12 }), (pieces, cuts) => {
      const whole = bytes(pieces.join(''));
      const at = [0, ...cuts.map((cut) => Math.min(cut, whole.length)).toSorted((a, b) => a - b), whole.length];
      const chunks = at.slice(1).map((to, index) => whole.slice(at[index], to));
      expect(readAll(chunks)).toEqual(readAll([whole]));
    }),
  );
});

test('a CRLF that is split between two chunks is one line end', () => {
  expect(readAll([bytes('data: a\r'), bytes('\ndata: b\r'), bytes('\n\r'), bytes('\n')])).toEqual([{ name: '', data: 'a\nb' }]);
});

test.each([1, 7, 10_000])('a frame past its bound is not kept, in chunks of %i bytes', (size) => {
  const whole = bytes(`data: ok\n\ndata: ${'x'.repeat(2000)}\n\ndata: after\n\n`);
  const reader = createFrameReader(1000);
  const frames: Frame[] = [];
  for (let from = 0; from < whole.length; from += size) frames.push(...reader.push(whole.subarray(from, from + size)));
  expect(frames).toEqual([{ name: '', data: 'ok' }]);
  expect(reader.isOverflown).toBe(true);
  expect(reader.end()).toEqual([]);
});
