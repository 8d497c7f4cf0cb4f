import type { IncomingMessage } from 'node:http';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createClientAddress } from './client-address.ts';

const from = (remoteAddress: string, forwarded?: string): IncomingMessage =>
  ({ socket: { remoteAddress }, headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded } }) as IncomingMessage;
const behind = createClientAddress(['10.0.0.0/8', 'fd00::/8']);

test.each([
  ['a socket that is no proxy of ours', '203.0.113.9', '198.51.100.1', '203.0.113.9'],
  ['a proxy that says nothing', '10.0.0.1', undefined, '10.0.0.1'],
  ['one proxy', '10.0.0.1', '198.51.100.1', '198.51.100.1'],
  ['a client that writes the header itself', '10.0.0.1', '1.2.3.4, 198.51.100.1', '198.51.100.1'],
  ['a chain of proxies', '10.0.0.1', '1.2.3.4, 198.51.100.1, 10.9.9.9, fd00::7', '198.51.100.1'],
  ['nothing but proxies: the furthest', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
  ['rubbish', '10.0.0.1', 'unknown, <script>, 10.0.0.2', '10.0.0.2'],
  ['ports and brackets', '::ffff:10.0.0.1', '[2001:db8::1]:443', '2001:db8::1'],
  ['a port on IPv4', '10.0.0.1', '198.51.100.1:8080', '198.51.100.1'],
])('%s', (_, socket, header, client) => expect(behind(from(socket, header))).toBe(client));

test('without named proxies, no header is ever believed', () => {
  const direct = createClientAddress([]);
  fc.assert(
    fc.property(fc.string(), (header) => {
      expect(direct(from('203.0.113.9', header))).toBe('203.0.113.9');
      expect(behind(from('203.0.113.9', header))).toBe('203.0.113.9');
    }),
  );
});
