import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addressOfBytes, networkOf, networkText, parseAddress, parseNetwork } from './address.ts';

test.each([
  ['203.0.113.9', '203.0.113.0/24'],
  ['0.0.0.0', '0.0.0.0/24'],
  ['255.255.255.255', '255.255.255.0/24'],
  ['::ffff:203.0.113.9', '203.0.113.0/24'],
  ['2001:db8:1:2::3', '2001:db8:1::/48'],
  ['2001:DB8:FFFF:2::3', '2001:db8:ffff::/48'],
  ['fe80::1%eth0', 'fe80:0:0::/48'],
])('%s counts for the network %s', (text, network) => {
  expect(networkText(networkOf(parseAddress(text)!))).toBe(network);
  expect(parseNetwork(network)).toEqual(networkOf(parseAddress(text)!));
});

test.each([
  '',
  '1.2.3',
  '1.2.3.4.5',
  '1.2.3.256',
  '01.2.3.4',
  '1.2.3.4 ',
  '1..3.4',
  'localhost',
  '1.2.3.4/24',
  ':::',
  '2001:db8::1::2',
  'g::1',
])('"%s" is no address', (text) => {
  expect(parseAddress(text)).toBeNull();
});

test.each(['1.2.3.4/24', '1.2.3.0/23', '2001:db8::1/48', '', '/24'])('"%s" is no network that addresses count for', (text) => {
  expect(parseNetwork(text)).toBeNull();
});

test('an address is the same from its text and from its bytes', () => {
  fc.assert(
    fc.property(fc.ipV4(), (text) => {
      expect(addressOfBytes(Uint8Array.from(text.split('.'), Number))).toEqual(parseAddress(text));
    }),
  );
  const bytes = new Uint8Array(16);
  bytes.set([0x20, 0x01, 0x0d, 0xb8]);
  bytes[15] = 7;
  expect(addressOfBytes(bytes)).toEqual(parseAddress('2001:db8::7'));
  expect(addressOfBytes(new Uint8Array(5))).toBeNull();
});
