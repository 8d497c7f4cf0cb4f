import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseAddress } from '#core/addresses';
import { createReferenceLists, type ReferenceLists } from './reference-lists.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'plimsoll-lists-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const NONE = { places: [], datacenters: [], vpns: [], disposable_domains: [] };
const signal = new AbortController().signal;
const file = (name: string, content: string | Buffer): string => {
  const full = path.join(directory, name);
  writeFileSync(full, content);
  return full;
};
const isVpn = (lists: ReferenceLists, address: string): boolean | null => lists.isVpn(parseAddress(address)!);

// Each look at changed files starts a thread, 100 to 250 ms.
test('lists are read from plain and packed files, answer from memory, and are read again only when they changed', async () => {
  const vpns = file('vpn.txt.gz', gzipSync('10.0.0.0/8\n'));
  const places = file('places.csv', 'cidr,country,lat,lon\n10.0.0.0/8,DE,52.5,13.4\n');
  const domains = file('domains.txt', 'trash.test\n');
  const lists = createReferenceLists({ ...NONE, vpns: [vpns], places: [places], disposable_domains: [domains] });
  expect([isVpn(lists, '10.0.0.1'), lists.isDisposable('trash.test')]).toEqual([null, null]);
  expect(await lists.refresh(signal)).toEqual([
    { kind: 'loaded', path: places, entries: 1 },
    { kind: 'loaded', path: vpns, entries: 1 },
    { kind: 'loaded', path: domains, entries: 1 },
  ]);
  expect([isVpn(lists, '10.0.0.1'), isVpn(lists, '11.0.0.1')]).toEqual([true, false]);
  expect([lists.isDisposable('Trash.Test'), lists.isDisposable('mail.test')]).toEqual([true, false]);
  expect(lists.place(parseAddress('10.9.9.9')!)).toEqual({ country: 'DE', latitude: 52.5, longitude: 13.4 });
  // No list of data centers: nobody knows.
  expect(lists.isDatacenter(parseAddress('10.0.0.1')!)).toBeNull();
  expect(await lists.refresh(signal)).toEqual([]);
  file('vpn.txt.gz', '11.0.0.0/8\n10.0.0.0/9\n');
  expect(await lists.refresh(signal)).toEqual([{ kind: 'loaded', path: vpns, entries: 2 }]);
  expect([isVpn(lists, '10.200.0.1'), isVpn(lists, '11.0.0.1')]).toEqual([false, true]);
});

test('a bad file keeps what it said before, and is complained of once, with its line', async () => {
  const vpns = file('vpn.txt', '10.0.0.0/8\n');
  const lists = createReferenceLists({ ...NONE, vpns: [vpns] });
  await lists.refresh(signal);
  file('vpn.txt', '11.0.0.0/8\n\nhello there\n');
  expect(await lists.refresh(signal)).toEqual([
    { kind: 'kept', path: vpns, problem: { line: 3, message: expect.stringContaining('hello there') } },
  ]);
  expect([isVpn(lists, '10.0.0.1'), isVpn(lists, '11.0.0.1')]).toEqual([true, false]);
  expect(await lists.refresh(signal)).toEqual([]);
  rmSync(vpns);
  expect(await lists.refresh(signal)).toEqual([
    { kind: 'kept', path: vpns, problem: { line: 0, message: 'cannot be read (ENOENT)' } },
  ]);
  expect(isVpn(lists, '10.0.0.1')).toBe(true);
  expect(await lists.refresh(signal)).toEqual([]);
});

test('while one of several lists was never read, an address that is on none of the others is unknown, not unlisted', async () => {
  const lists = createReferenceLists({ ...NONE, vpns: [file('vpn.txt', '10.0.0.0/8'), path.join(directory, 'absent')] });
  await lists.refresh(signal);
  expect([isVpn(lists, '10.0.0.1'), isVpn(lists, '11.0.0.1')]).toEqual([true, null]);
});

test('a look at the lists that is called off ends at once, and the next one starts over', async () => {
  const vpns = file('vpn.txt', '10.0.0.0/8\n');
  const lists = createReferenceLists({ ...NONE, vpns: [vpns] });
  const caller = new AbortController();
  const looking = lists.refresh(caller.signal);
  caller.abort(new Error('shutting down'));
  await expect(looking).rejects.toThrow('shutting down');
  expect(await lists.refresh(signal)).toEqual([{ kind: 'loaded', path: vpns, entries: 1 }]);
});

const shared = path.resolve(import.meta.dirname, '../../../../shared/datasets/abuse-reference-lists');
// 50,000 blocks in a thread: some 500 ms.
test.skipIf(!existsSync(shared))(
  'the reference lists beside the checkout are taken whole (skipped where they are not)',
  async () => {
    const at = (name: string): string => path.join(shared, name);
    const lists = createReferenceLists({
      ...NONE,
      datacenters: [at('datacenter_ipv4.txt.gz'), at('datacenter_ipv6.txt.gz')],
      disposable_domains: [at('disposable_email_domains.txt')],
    });
    expect(await lists.refresh(signal)).toMatchObject([
      { kind: 'loaded', entries: 42_566 },
      { kind: 'loaded', entries: 8_752 },
      { kind: 'loaded', entries: 8_335 },
    ]);
    expect(lists.isDatacenter(parseAddress('192.0.2.1')!)).toBe(false);
  },
);
