import type { Buffer } from 'node:buffer';
import { timingSafeEqual } from 'node:crypto';
import { invariant } from '#core/kernel';
import type { Key } from '#contracts/tenancy';
import { createPlaceIndex } from './place-index.ts';
import { createRecordArena } from './record-arena.ts';
import {
  createTenantCodec,
  digestOf,
  hashKindOf,
  hashOfId,
  hashOfRecord,
  isRecordOf,
  kindOf,
  packId,
  type StoredKind,
  type StoredObject,
} from './tenant-codec.ts';

type Stored<K extends StoredKind> = Extract<StoredObject, { readonly kind: K }>;

/** Organizations, workspaces, keys and end users in about as many bytes as they have, found by id, and keys by digest. */
export interface TenantTable {
  put(object: StoredObject): void;
  /** @returns whether it was there */
  remove(kind: StoredKind, id: string): boolean;
  /** A new object each time. */
  get<K extends StoredKind>(kind: K, id: string): Stored<K> | null;
  findKey(digest: Uint8Array, hashKind: Key['hash']['kind']): Key | null;
  /** Everything, a piece at a time; what is put or removed meanwhile may or may not be among it. */
  objects(): Generator<StoredObject>;
  count(kind: StoredKind): number;
  /** How many keys have a digest without the pepper. */
  legacyKeys(): number;
  bytes(): number;
}

export function createTenantTable(): TenantTable {
  const arena = createRecordArena();
  const codec = createTenantCodec();
  const byId = createPlaceIndex((place) => hashOfRecord(recordAt(place)));
  const byDigest = createPlaceIndex((place) => hashOfDigest(digestOf(recordAt(place))));
  const counts = new Map<StoredKind, number>();
  let legacyKeys = 0;

  return {
    put(object) {
      const record = codec.encode(object);
      const packed = packId(object.id);
      const hash = hashOfId(object.kind, packed);
      const old = placeOf(object.kind, packed);
      if (old !== 0) {
        forgetDigest(old);
        if (arena.replace(old, record)) {
          learnDigest(old);
          return;
        }
        byId.remove(hash, old);
        arena.free(old);
      } else counts.set(object.kind, (counts.get(object.kind) ?? 0) + 1);
      const place = arena.add(record);
      byId.add(hash, place);
      learnDigest(place);
    },
    remove(kind, id) {
      const packed = packId(id);
      const place = placeOf(kind, packed);
      if (place === 0) return false;
      forgetDigest(place);
      byId.remove(hashOfId(kind, packed), place);
      arena.free(place);
      counts.set(kind, (counts.get(kind) ?? 0) - 1);
      return true;
    },
    get(kind, id) {
      const place = placeOf(kind, packId(id));
      if (place === 0) return null;
      const object = codec.decode(recordAt(place));
      invariant(isOf(object, kind), 'a record is of the kind that it was found by');
      return object;
    },
    findKey(digest, hashKind) {
      const place = byDigest.find(hashOfDigest(digest), (at) => {
        const record = recordAt(at);
        return hashKindOf(record) === hashKind && timingSafeEqual(digestOf(record), digest);
      });
      if (place === 0) return null;
      const object = codec.decode(recordAt(place));
      return object.kind === 'key' ? object : null;
    },
    *objects() {
      for (const place of byId.places()) {
        const record = arena.read(place);
        if (record !== null) yield codec.decode(record);
      }
    },
    count: (kind) => counts.get(kind) ?? 0,
    legacyKeys: () => legacyKeys,
    bytes: () => arena.bytes() + codec.bytes() + byId.bytes() + byDigest.bytes(),
  };

  function placeOf(kind: StoredKind, packedId: Buffer): number {
    return byId.find(hashOfId(kind, packedId), (place) => isRecordOf(recordAt(place), kind, packedId));
  }

  function recordAt(place: number): Buffer {
    const record = arena.read(place);
    invariant(record !== null, 'an index names living records only');
    return record;
  }

  function learnDigest(place: number): void {
    const record = recordAt(place);
    if (kindOf(record) !== 'key') return;
    byDigest.add(hashOfDigest(digestOf(record)), place);
    if (hashKindOf(record) === 'sha256') legacyKeys++;
  }

  function forgetDigest(place: number): void {
    const record = recordAt(place);
    if (kindOf(record) !== 'key') return;
    byDigest.remove(hashOfDigest(digestOf(record)), place);
    if (hashKindOf(record) === 'sha256') legacyKeys--;
  }
}

function isOf<K extends StoredKind>(object: StoredObject, kind: K): object is Stored<K> {
  return object.kind === kind;
}

/** A digest is as good as random already. */
function hashOfDigest(digest: Uint8Array): number {
  return (((digest[0] ?? 0) << 24) | ((digest[1] ?? 0) << 16) | ((digest[2] ?? 0) << 8) | (digest[3] ?? 0)) >>> 0;
}
