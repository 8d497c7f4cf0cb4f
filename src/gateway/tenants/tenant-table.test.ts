import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { tenantObjectSchema } from '#contracts/tenancy';
import { sampleKey, sampleOrganization, sampleWorkspace } from '#contracts/tenancy-kit.fixture';
import { createPlaceIndex } from './place-index.ts';
import { createRecordArena } from './record-arena.ts';
import type { StoredObject } from './tenant-codec.ts';
import { createTenantTable } from './tenant-table.ts';

const id = (prefix: string): fc.Arbitrary<string> => fc.integer({ min: 0, max: 11 }).map((number) => `${prefix}_${number}`);
const text = fc.oneof(fc.string({ minLength: 1, maxLength: 30, unit: 'binary' }), fc.constant('half \uD83D pair'));
const timeMs = fc.integer({ min: 0, max: 8.64e15 });
const limits = fc.dictionary(fc.constantFrom('rpm', '__proto__x', 'ü'), fc.record({ limit: fc.nat() }), { maxKeys: 2 });
const hash = fc.record({
  kind: fc.constantFrom('hmac_sha256' as const, 'sha256' as const),
  hex: fc.nat(1_000).map((number) => createHash('sha256').update(String(number)).digest('hex')),
});
const object: fc.Arbitrary<StoredObject> = fc.oneof(
  fc
    .record({
      id: id('key'),
      organization: id('org'),
      workspace: fc.option(id('ws')),
      name: text,
      hash,
      limits,
      expiresAtMs: fc.option(timeMs),
      createdBy: text,
    })
    .chain((more) =>
      fc.array(text, { maxLength: 30 }).map((models) => sampleKey({ ...more, scopes: models.length === 0 ? {} : { models } })),
    ),
  fc
    .record({ id: id('org'), name: text, tier: fc.option(text), limits, closedAtMs: fc.option(timeMs), createdAtMs: timeMs })
    .map((more) => sampleOrganization({ ...more, organization: more.id, whenCutOff: { kind: 'refuse', afterSeconds: 9 } })),
  fc.record({ id: id('ws'), organization: id('org'), name: text, limits }).map((more) => sampleWorkspace(more)),
  fc
    .record({ id: id('usr'), organization: id('org'), limits, createdAtMs: timeMs })
    .map((more): StoredObject => ({ kind: 'end_user', ...more })),
);

test('whatever is put, replaced and removed in any order, the table has what a map of objects has', () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ put: object }) },
    { weight: 1, arbitrary: fc.record({ remove: object }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const table = createTenantTable();
      const model = new Map<string, StoredObject>();
      for (const one of steps) {
        if ('put' in one) {
          table.put(one.put);
          model.set(`${one.put.kind} ${one.put.id}`, one.put);
        } else {
          const { kind, id: name } = one.remove;
          expect(table.remove(kind, name)).toBe(model.delete(`${kind} ${name}`));
        }
      }
      for (const [, kept] of model) expect(table.get(kept.kind, kept.id)).toEqual(kept);
      const all = [...table.objects()];
      expect(new Map(all.map((one) => [`${one.kind} ${one.id}`, one]))).toEqual(model);
      expect(all).toHaveLength(model.size);
      const keys = [...model.values()].filter((one) => one.kind === 'key');
      expect(table.count('key')).toBe(keys.length);
      expect(table.legacyKeys()).toBe(keys.filter((key) => key.hash.kind === 'sha256').length);
      for (const key of keys) expect(table.findKey(Buffer.from(key.hash.hex, 'hex'), key.hash.kind)?.hash).toEqual(key.hash);
      for (let number = 0; number < 20; number++) {
        const digest = createHash('sha256').update(`none ${number}`).digest();
        expect(table.findKey(digest, 'sha256')).toBeNull();
      }
    }),
    { numRuns: 150 },
  );
});

test('objects come back whole: none of their fields is forgotten', () => {
  const table = createTenantTable();
  const all: StoredObject[] = [
    sampleOrganization({ tier: 'gold', appealUrl: 'https://a.example', closedAtMs: 8.64e15 }),
    sampleWorkspace({ limits: { rpm: { limit: 1, burst: 2 } } }),
    sampleKey({ role: 'operator', reach: 'installation', member: 'mem_x', replacedBy: 'key_y', expiresAtMs: 1, revokedAtMs: 2 }),
    { kind: 'end_user', id: 'usr_x', organization: 'org_one', limits: {}, createdAtMs: 1 },
  ];
  for (const one of all) {
    expect(tenantObjectSchema.parse(one)).toEqual(one);
    table.put(one);
    expect(table.get(one.kind, one.id)).toEqual(one);
  }
});

test('a record larger than a segment of the arena is kept like any other', () => {
  const arena = createRecordArena();
  const records = [3, 2_000_000, 5, 1_048_576, 7].map((size) => Buffer.alloc(size, size));
  const places = records.map((record) => arena.add(record));
  expect(new Set(places).size).toBe(records.length);
  places.forEach((place, at) => expect(arena.read(place)?.equals(records[at]!)).toBe(true));
});

test('memory that was given back is used again: replacing keys for ever does not grow the table', () => {
  const table = createTenantTable();
  const put = (round: number): void => {
    for (let key = 0; key < 200; key++) table.put(sampleKey({ id: `key_${key}`, name: 'x'.repeat(1 + ((key + round) % 7) * 8) }));
  };
  for (let round = 0; round < 7; round++) put(round);
  const before = table.bytes();
  for (let round = 0; round < 100; round++) put(round);
  expect(table.bytes()).toBe(before);
});

test('an index whose hashes all collide still finds and removes the right places', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 80 }),
      fc.integer({ min: 1, max: 4 }),
      (places, different) => {
        const hashOf = (place: number): number => (place % different) * 0x1000_0100;
        const index = createPlaceIndex(hashOf);
        const model = new Set<number>();
        // The second time that a place is named it is removed.
        for (const place of places) {
          if (model.delete(place)) index.remove(hashOf(place), place);
          else {
            model.add(place);
            index.add(hashOf(place), place);
          }
          for (let other = 1; other <= 30; other++)
            expect(index.find(hashOf(other), (found) => found === other)).toBe(model.has(other) ? other : 0);
        }
        expect(Array.from(index.places()).toSorted((a, b) => a - b)).toEqual([...model].toSorted((a, b) => a - b));
      },
    ),
  );
});
