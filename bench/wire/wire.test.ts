import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMarkerCounter } from './marker-counter.ts';
import { createMessageParser } from './message-parser.ts';

const RESPONSES = [
  'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nb;name=value\r\n wide world\r\n0\r\n\r\n',
  'HTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\nTrailer-One: 1\r\nTrailer-Two: 2\r\n\r\n',
  'HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nuntil the end, with \r\n\r\n inside',
];
const READ = [
  'HTTP/1.1 200 OK|hello world',
  'HTTP/1.1 200 OK|hello wide world',
  'HTTP/1.1 204 No Content|',
  'HTTP/1.1 200 OK|0123456789',
  'HTTP/1.1 500 Oops|',
  'HTTP/1.1 200 OK|until the end, with \r\n\r\n inside',
];

/** Pieces of `bytes`, each in a buffer of its own that is overwritten afterwards, as the reading buffer of a socket is. */
function feedInPieces(bytes: Buffer, cuts: readonly number[], feed: (buffer: Buffer, start: number, end: number) => void): void {
  const borders = [0, ...cuts.map((cut) => cut % bytes.length).sort((a, b) => a - b), bytes.length];
  for (let index = 1; index < borders.length; index += 1) {
    const start = borders[index - 1]!;
    const end = borders[index]!;
    const reused = Buffer.concat([Buffer.from('junk'), bytes.subarray(start, end), Buffer.from('junk')]);
    feed(reused, 4, 4 + end - start);
    reused.fill(0);
  }
}

test('the response parser reads the same messages however the bytes are split', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(), { maxLength: 40 }), (cuts) => {
      const read: string[] = [];
      let current = '';
      const parser = createMessageParser('response', {
        head: (head) => (current = `${head.startLine}|`),
        body: (buffer, start, end) => (current += buffer.toString('latin1', start, end)),
        end: () => read.push(current),
      });
      feedInPieces(Buffer.from(RESPONSES.join('')), cuts, (...piece) => parser.feed(...piece));
      expect(parser.close()).toBe(true);
      expect(read).toEqual(READ);
    }),
  );
});

test('the response parser says that a response was cut short', () => {
  for (const response of RESPONSES.slice(0, 2)) {
    const parser = createMessageParser('response', { head() {}, body() {}, end() {} });
    const bytes = Buffer.from(response).subarray(0, -1);
    parser.feed(bytes, 0, bytes.length);
    expect(parser.close()).toBe(false);
  }
});

test('the request parser ends a request that has no body with its head', () => {
  const read: string[] = [];
  const parser = createMessageParser('request', {
    head: (head) => read.push(head.startLine),
    body: () => read.push('body'),
    end: () => read.push('end'),
  });
  const bytes = Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\nPOST /x HTTP/1.1\r\ncontent-length: 2\r\n\r\nhi');
  parser.feed(bytes, 0, bytes.length);
  expect(read).toEqual(['GET / HTTP/1.1', 'end', 'POST /x HTTP/1.1', 'body', 'end']);
});

test('bytes that are not HTTP are refused', () => {
  const parser = createMessageParser('response', { head() {}, body() {}, end() {} });
  const bytes = Buffer.from('SSH-2.0-OpenSSH\r\n\r\n');
  expect(() => parser.feed(bytes, 0, bytes.length)).toThrow('not HTTP/1.1');
});

test('every event is counted once however the bytes are split', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(), { maxLength: 40 }), fc.array(fc.nat(4), { maxLength: 200 }), (cuts, picks) => {
      const words = ['"text_delta"', '"text_"delt', '"', '"text_delta', 'other '];
      const text = `x${picks.map((pick) => words[pick]).join('')}x`;
      const counter = createMarkerCounter('"text_delta"');
      let counted = 0;
      feedInPieces(Buffer.from(text), cuts, (...piece) => (counted += counter.count(...piece)));
      expect(counted).toBe(text.split('"text_delta"').length - 1);
    }),
  );
});
