import { expect, test } from 'vitest';
import { parseSse } from './sse.ts';

test.each([
  ['a name and data', 'event: a\ndata: 1\n\n', [{ name: 'a', data: '1' }], ''],
  ['data alone, without the space', 'data:1\n\n', [{ name: '', data: '1' }], ''],
  ['data of two lines', 'data: 1\ndata: 2\n\n', [{ name: '', data: '1\n2' }], ''],
  ['line ends of every kind', 'data: 1\r\n\r\ndata: 2\r\rdata: 3\n\n', ['1', '2', '3'].map((data) => ({ name: '', data })), ''],
  ['comments, and a name without data', ': ping\n\nevent: a\n\ndata: 1\n\n', [{ name: '', data: '1' }], ''],
  ['an event that was not ended', 'data: 1\n\nevent: b\ndata: 2\n', [{ name: '', data: '1' }], 'b2'],
  ['a line that was not ended', 'data: 1\n\nda', [{ name: '', data: '1' }], 'da'],
])('a stream with %s is read as clients read it', (_, text, events, rest) => {
  expect(parseSse(text)).toEqual({ events, rest });
});
