import { existsSync, readFileSync } from 'node:fs';
import { BlockList, isIPv6 } from 'node:net';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAddress } from './address.ts';
import { createIpTable, type IpTable, parseCidrList, parseCidrPlaces } from './ip-table.ts';

const tableOf = (text: string): IpTable => {
  const read = parseCidrList(text);
  if (!read.ok) throw new Error(`${read.error.line}: ${read.error.message}`);
  return createIpTable(read.value);
};
const has = (table: IpTable, text: string): boolean => table.has(parseAddress(text)!);

/** Few networks, so that blocks nest, touch and repeat; none of IPv6 holds the place of IPv4 among its addresses (::ffff:0:0/96). */
const smallV4 = fc
  .tuple(
    fc.constantFrom(0, 10, 255),
    fc.integer({ min: 0, max: 3 }),
    fc.constantFrom(0, 127, 128, 255),
    fc.integer({ min: 0, max: 255 }),
  )
  .map((parts) => parts.join('.'));
const smallV6 = fc
  .tuple(fc.constantFrom('8000', 'a001', 'ffff'), fc.constantFrom('0', 'ffff'), fc.constantFrom('0', '8000', 'ffff'))
  .map(([first, middle, last]) => `${first}:${middle}:${middle}:${middle}:${middle}:${middle}:${middle}:${last}`);

test('a table of blocks says what a list of blocks searched one by one says, nested or not, in both families', () => {
  const block = fc.oneof(
    fc.tuple(smallV4, fc.constantFrom(0, 1, 8, 15, 16, 23, 24, 25, 31, 32)),
    fc.tuple(smallV6, fc.constantFrom(1, 16, 31, 32, 33, 48, 64, 96, 113, 127, 128)),
  );
  fc.assert(
    fc.property(
      fc.array(block, { maxLength: 20 }),
      fc.array(fc.oneof(smallV4, smallV6), { minLength: 1, maxLength: 30 }),
      (blocks, addresses) => {
        const table = tableOf(blocks.map(([address, bits]) => `${address}/${bits}`).join('\n'));
        for (const address of addresses) {
          const expected = blocks.some(([base, bits]) => {
            const family = isIPv6(base) ? 'ipv6' : 'ipv4';
            const one = new BlockList();
            one.addSubnet(base, bits, family);
            return isIPv6(base) === isIPv6(address) && one.check(address, family);
          });
          expect(has(table, address), address).toBe(expected);
        }
      },
    ),
    { numRuns: 150 },
  );
});

test('of nested blocks, the smallest speaks for an address', () => {
  const read = parseCidrPlaces(
    'cidr,country,lat,lon\n10.0.0.0/8,DE,52.5,13.4\n10.1.0.0/16,FR,48.9,2.4 # Paris\n10.1.2.0/24,GB\n\n2001:db8::/32,US,40.7,-74\n',
  );
  if (!read.ok) throw new Error(read.error.message);
  const place = (text: string): unknown => createIpTable(read.value).place(parseAddress(text)!);
  expect(place('10.0.0.1')).toEqual({ country: 'DE', latitude: 52.5, longitude: 13.4 });
  expect(place('10.1.1.255')).toEqual({ country: 'FR', latitude: 48.9, longitude: 2.4 });
  expect(place('10.1.2.3')).toEqual({ country: 'GB', latitude: null, longitude: null });
  expect(place('10.1.3.0')).toEqual({ country: 'FR', latitude: 48.9, longitude: 2.4 });
  expect(place('10.2.0.0')).toEqual({ country: 'DE', latitude: 52.5, longitude: 13.4 });
  expect(place('11.0.0.0')).toBeNull();
  expect(place('2001:db8:ffff::1')).toEqual({ country: 'US', latitude: 40.7, longitude: -74 });
  expect(read.value.blockCount).toBe(4);
});

test.each([
  ['10.0.0.0/8\nnonsense\n', 2],
  ['# a list\n\n10.0.0.0/33', 3],
  ['10.0.0.0/', 1],
  ['10.0.0.0/-1', 1],
])('a list with a bad line is not taken, and the line is named (%j)', (text, line) => {
  const read = parseCidrList(text);
  expect(read).toMatchObject({ ok: false, error: { line } });
});

test.each(['10.0.0.0/8', '10.0.0.0/8,Germany', '10.0.0.0/8,DE,91,0', '10.0.0.0/8,DE,1', '10.0.0.0/8,DE,x,y', ',DE'])(
  'a list of places with the line "%s" is not taken',
  (line) => {
    expect(parseCidrPlaces(line)).toMatchObject({ ok: false, error: { line: 1 } });
  },
);

const lists = path.resolve(import.meta.dirname, '../../../../shared/datasets/abuse-reference-lists');
describe.skipIf(!existsSync(lists))('with the reference lists beside the checkout (skipped where they are not)', () => {
  // Parsing 42,566 lines and searching: some 100 ms.
  test.each([
    { file: 'datacenter_ipv4.txt.gz', blocks: 42_566 },
    { file: 'datacenter_ipv6.txt.gz', blocks: 8_752 },
    { file: 'vpn_ipv4.txt.gz', blocks: 10_862 },
    { file: 'vpn_ipv6.txt.gz', blocks: 498 },
  ])('$file has $blocks blocks, and the table finds the first address of each', ({ file, blocks }) => {
    const text = gunzipSync(readFileSync(path.join(lists, file))).toString();
    const table = tableOf(text);
    expect(table.blockCount).toBe(blocks);
    expect(table.byteCount).toBeLessThanOrEqual(blocks * 40);
    for (const line of text.trim().split('\n')) if (!has(table, line.slice(0, line.indexOf('/')))) expect.unreachable(line);
    expect(has(table, '192.0.2.1')).toBe(false);
  });
});
