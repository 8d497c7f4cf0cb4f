import { Buffer } from 'node:buffer';
import type { TenantObject, TenantObjectKind } from '#contracts/tenancy';

/**
 * Tenant objects as bytes, for the arena: values in the order of their fields, without names. Nothing here leaves the process, so
 * the format has no version.
 *
 * A record begins with its kind and id, and a key's with its digest: they are compared without reading the rest.
 */
export interface TenantCodec {
  /** Good until the next call. */
  encode(object: StoredObject): Uint8Array;
  decode(record: Buffer): StoredObject;
  bytes(): number;
}

export const STORED_KINDS = ['organization', 'workspace', 'key', 'end_user'] as const satisfies readonly TenantObjectKind[];
export type StoredKind = (typeof STORED_KINDS)[number];
export type StoredObject = Extract<TenantObject, { readonly kind: StoredKind }>;

type FieldOf<K extends StoredKind> = Exclude<keyof Extract<StoredObject, { readonly kind: K }>, 'kind' | 'id' | 'hash'>;

/** Every field of every kind but `kind`, `id` and `hash`: what is not here is lost, and the test of the round trip fails. */
const FIELDS = {
  organization: ['organization', 'name', 'tier', 'limits', 'whenCutOff', 'appealUrl', 'createdAtMs', 'closedAtMs'],
  workspace: ['organization', 'name', 'limits', 'createdAtMs', 'closedAtMs'],
  key: [
    'organization',
    'workspace',
    'name',
    'use',
    'role',
    'reach',
    'member',
    'hint',
    'scopes',
    'limits',
    'createdAtMs',
    'createdBy',
    'expiresAtMs',
    'revokedAtMs',
    'replacedBy',
  ],
  end_user: ['organization', 'limits', 'createdAtMs'],
} as const satisfies { readonly [K in StoredKind]: readonly FieldOf<K>[] };
/** Fields with few different values: each value is kept once, and for good. */
const SHARED: ReadonlySet<string> = new Set(['tier', 'use', 'role', 'reach']);

/** How a value is written. */
const TAGS = { null: 0, shared: 1, text: 2, integer: 3, emptyObject: 4, json: 5, hexTail: 6 } as const;

/** Fewer hexadecimal digits at the end of a text are written as they are. */
const HEX_DIGITS_MIN = 8;

const DIGEST_BYTES = 32;
const HASH_KINDS = ['hmac_sha256', 'sha256'] as const;
const KEY_KIND = STORED_KINDS.indexOf('key');

/** Where things are in a record. */
const KIND_AT = 0;
const HASH_KIND_AT = 1;
const DIGEST_AT = 2;

export function createTenantCodec(): TenantCodec {
  const shared = new Map<string, number>();
  const sharedTexts: string[] = [];
  let scratch = Buffer.alloc(4096);
  let end = 0;

  return {
    encode(object) {
      end = 0;
      byte(STORED_KINDS.indexOf(object.kind));
      if (object.kind === 'key') {
        byte(HASH_KINDS.indexOf(object.hash.kind));
        room(DIGEST_BYTES);
        end += scratch.write(object.hash.hex, end, 'hex');
      }
      const name = packId(object.id);
      room(name.length);
      end += name.copy(scratch, end);
      const values: { readonly [name: string]: unknown } = object;
      for (const field of FIELDS[object.kind]) value(values[field], SHARED.has(field));
      return scratch.subarray(0, end);
    },
    decode(record) {
      const kind = STORED_KINDS[record[KIND_AT] ?? 0] ?? 'key';
      const reader = { record, at: idStart(record) };
      const object: { [name: string]: unknown } = { kind, id: readHexTail(reader) };
      if (kind === 'key') object.hash = { kind: hashKindOf(record), hex: digestOf(record).toString('hex') };
      for (const name of FIELDS[kind]) object[name] = readValue(reader);
      // Written by `encode` above, from an object of this type.
      return object as StoredObject;
    },
    bytes: () => sharedTexts.reduce((sum, word) => sum + word.length, 0) + scratch.length,
  };

  function value(it: unknown, isShared: boolean): void {
    if (it === null) byte(TAGS.null);
    else if (typeof it === 'string' && isShared) {
      byte(TAGS.shared);
      varint(share(it));
    } else if (typeof it === 'string' && it.isWellFormed()) writeText(it);
    else if (typeof it === 'number' && Number.isSafeInteger(it) && it >= 0) {
      byte(TAGS.integer);
      varint(it);
    } else if (typeof it === 'object' && Object.keys(it).length === 0) byte(TAGS.emptyObject);
    else {
      byte(TAGS.json);
      text(JSON.stringify(it));
    }
  }

  /** Our ids end in random hexadecimal digits, which take half the room as bytes. */
  function writeText(it: string): void {
    const digits = hexDigitsAtEnd(it);
    if (digits < HEX_DIGITS_MIN) {
      byte(TAGS.text);
      text(it);
      return;
    }
    byte(TAGS.hexTail);
    text(it.slice(0, it.length - digits));
    varint(digits / 2);
    room(digits / 2);
    end += scratch.write(it.slice(it.length - digits), end, 'hex');
  }

  function share(word: string): number {
    const known = shared.get(word);
    if (known !== undefined) return known;
    shared.set(word, sharedTexts.length);
    return sharedTexts.push(word) - 1;
  }

  function room(bytes: number): void {
    if (end + bytes <= scratch.length) return;
    const larger = Buffer.alloc(Math.max(scratch.length * 2, end + bytes));
    scratch.copy(larger, 0, 0, end);
    scratch = larger;
  }

  function byte(it: number): void {
    room(1);
    scratch[end++] = it;
  }

  /** Seven bits a byte, least first; arithmetic, because times need more than 32 bits. */
  function varint(it: number): void {
    let rest = it;
    for (; rest >= 128; rest = Math.floor(rest / 128)) byte((rest % 128) + 128);
    byte(rest);
  }

  function text(it: string): void {
    const bytes = Buffer.byteLength(it);
    varint(bytes);
    room(bytes);
    end += scratch.write(it, end);
  }

  interface Reader {
    readonly record: Buffer;
    at: number;
  }

  function readValue(from: Reader): unknown {
    const tag = from.record[from.at++];
    switch (tag) {
      case TAGS.null:
        return null;
      case TAGS.shared:
        return sharedTexts[readVarint(from)];
      case TAGS.text:
        return readText(from);
      case TAGS.integer:
        return readVarint(from);
      case TAGS.hexTail:
        return readHexTail(from);
      case TAGS.emptyObject:
        return {};
      default:
        return JSON.parse(readText(from));
    }
  }

  function readHexTail(from: Reader): string {
    const head = readText(from);
    const bytes = readVarint(from);
    return head + from.record.toString('hex', from.at, (from.at += bytes));
  }

  function readVarint(from: Reader): number {
    let sum = 0;
    for (let unit = 1; ; unit *= 128) {
      const next = from.record[from.at++] ?? 0;
      sum += (next % 128) * unit;
      if (next < 128) return sum;
    }
  }

  function readText(from: Reader): string {
    const bytes = readVarint(from);
    return from.record.toString('utf8', from.at, (from.at += bytes));
  }
}

/**
 * An id as it stands in a record: its head, and the hexadecimal digits at its end as bytes. Ids are ASCII and shorter than 128, so
 * either length is one byte. Equal ids, and no others, have equal bytes.
 */
export function packId(id: string): Buffer {
  const digits = hexDigitsAtEnd(id);
  const head = id.length - digits;
  const packed = Buffer.allocUnsafe(2 + head + digits / 2);
  packed[0] = head;
  packed.write(id.slice(0, head), 1, 'latin1');
  packed[1 + head] = digits / 2;
  packed.write(id.slice(head), 2 + head, 'hex');
  return packed;
}

/** Whether a record is that of an object. */
export function isRecordOf(record: Buffer, kind: StoredKind, packedId: Buffer): boolean {
  const start = idStart(record);
  return (
    record[KIND_AT] === STORED_KINDS.indexOf(kind) &&
    record.compare(packedId, 0, packedId.length, start, Math.min(record.length, start + packedId.length)) === 0
  );
}

/** Hash of kind and id, of a record or of an object that is looked for. Source: FNV-1a, 32 bits, with a final mix. */
export function hashOfId(kind: StoredKind, packedId: Buffer): number {
  let hash = 0x811c9dc5 ^ STORED_KINDS.indexOf(kind);
  for (let at = 0; at < packedId.length; at++) hash = Math.imul(hash ^ (packedId[at] ?? 0), 0x01000193);
  // The low bits alone of FNV are weak, and they choose the table.
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}

export function hashOfRecord(record: Buffer): number {
  const start = idStart(record);
  const tailAt = start + 1 + (record[start] ?? 0);
  return hashOfId(kindOf(record), record.subarray(start, tailAt + 1 + (record[tailAt] ?? 0)));
}

export function kindOf(record: Buffer): StoredKind {
  return STORED_KINDS[record[KIND_AT] ?? 0] ?? 'key';
}

/** The digest of a key's record, not a copy. */
export function digestOf(record: Buffer): Buffer {
  return record.subarray(DIGEST_AT, DIGEST_AT + DIGEST_BYTES);
}

export function hashKindOf(record: Buffer): (typeof HASH_KINDS)[number] {
  return HASH_KINDS[record[HASH_KIND_AT] ?? 0] ?? 'hmac_sha256';
}

/** How many of the last characters are lower-case hexadecimal digits, rounded down to whole bytes. */
function hexDigitsAtEnd(text: string): number {
  let at = text.length;
  while (at > 0 && '0123456789abcdef'.includes(text.charAt(at - 1))) at--;
  return (text.length - at) & ~1;
}

function idStart(record: Buffer): number {
  return record[KIND_AT] === KEY_KIND ? DIGEST_AT + DIGEST_BYTES : 1;
}
