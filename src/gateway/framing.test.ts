import { createServer, type IncomingMessage, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { framingProblem } from './framing.ts';

/** What is found in requests that Node's own parser takes. */
async function problemsOf(bytes: string): Promise<readonly (string | null)[]> {
  const problems: (string | null)[] = [];
  const server: Server = createServer((incoming: IncomingMessage, outgoing) => {
    problems.push(framingProblem(incoming));
    outgoing.shouldKeepAlive = false;
    outgoing.end();
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.write(bytes);
  await new Promise((resolve) => socket.resume().once('close', resolve));
  return problems;
}

test('what Node takes and another server may read otherwise is a problem', async () => {
  const body = '2\r\n{}\r\n0\r\n\r\n';
  expect(await problemsOf(`POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n${body}`)).toEqual([
    'transfer-encoding: not part of HTTP/1.0',
  ]);
  expect(await problemsOf(`POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n${body}`)).toEqual([
    'transfer-encoding: only chunked is understood, and only once',
  ]);
  expect(await problemsOf('GET / HTTP/1.1\r\nhost: a\r\nHost: b\r\n\r\n')).toEqual(['host: given more than once']);
  expect(await problemsOf('GET /\r\n\r\n')).toEqual(['only HTTP/1.1 is spoken here']);
});

test('a sound request is none', async () => {
  expect(await problemsOf('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n')).toEqual([
    null,
  ]);
  expect(await problemsOf('POST / HTTP/1.1\r\nhost: a\r\nx-h: host\r\ncontent-length: 2\r\n\r\n{}')).toEqual([null]);
});
