import { err, ok, type Result } from '../kernel/index.ts';
import { type Address, parseAddress } from './address.ts';

/** Where an address is said to be: a country of ISO 3166 (`DE`) and, where the list has them, coordinates in degrees. */
export interface Place {
  readonly country: string;
  readonly latitude: number | null;
  readonly longitude: number | null;
}

/**
 * Blocks of addresses in memory, 20 bytes a boundary, found by halving. Blocks may nest: the smallest that holds an address speaks
 * for it. IPv4 lies in ::ffff:0:0/96, so `::/0` holds all of it.
 */
export interface IpTable {
  /** Blocks that were read. */
  readonly blockCount: number;
  readonly byteCount: number;
  /** Whether any block holds the address. */
  has(address: Address): boolean;
  /** What the list says of the address; null where it says nothing, or is a list of blocks alone. */
  place(address: Address): Place | null;
}

/**
 * The numbers of an {@link IpTable}: plain data, so that a thread can read a long list and hand it over.
 * `starts` are the boundaries, four words each, in order; from each on, until the next, `payloads` holds: the place of that number,
 * or NOWHERE.
 */
export interface IpBlocks {
  readonly blockCount: number;
  readonly starts: Uint32Array<ArrayBuffer>;
  readonly payloads: Int32Array<ArrayBuffer>;
  readonly places: readonly Place[];
}

/** A line that could not be read, so that the whole list was not: lists are taken whole or not at all. */
export interface ListProblem {
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

/** Blocks that a list may have. */
const BLOCKS_MAX = 4_000_000;
const NOWHERE = -1;

interface Block {
  readonly start: Address;
  /** 0 to 128 bits; that of an IPv4 block is 96 more than written. */
  readonly prefix: number;
  readonly payload: number;
}

/** @param text - one CIDR block or address a line; what follows `#` and empty lines do not count */
export function parseCidrList(text: string): Result<IpBlocks, ListProblem> {
  const read = readLines(text, (line) => {
    const block = parseCidr(line);
    return block
      ? { ...block, payload: 0 }
      : `"${line.slice(0, 60)}" is not a CIDR block such as 203.0.113.0/24 or 2001:db8::/32`;
  });
  return read.ok ? ok(flatten(read.value, [])) : read;
}

/** @param text - `cidr,country` or `cidr,country,latitude,longitude` a line; a first line that begins with `cidr,` is a heading */
export function parseCidrPlaces(text: string): Result<IpBlocks, ListProblem> {
  const places: Place[] = [];
  const known = new Map<string, number>();
  const read = readLines(text, (line, number) => {
    if (number === 1 && line.startsWith('cidr,')) return null;
    const comma = line.indexOf(',');
    const block = parseCidr(line.slice(0, Math.max(0, comma)));
    if (!block) return `"${line.slice(0, 60)}" does not begin with a CIDR block and a comma`;
    const said = line.slice(comma + 1);
    let payload = known.get(said);
    if (payload === undefined) {
      const place = parsePlace(said);
      if (!place) return `"${said.slice(0, 60)}" is not a country of two letters, or one with latitude and longitude`;
      payload = places.push(place) - 1;
      known.set(said, payload);
    }
    return { ...block, payload };
  });
  return read.ok ? ok(flatten(read.value, places)) : read;
}

/** Makes a table of what {@link parseCidrList} or {@link parseCidrPlaces} read. */
export function createIpTable({ blockCount, starts, payloads, places }: IpBlocks): IpTable {
  const find = (address: Address): number => {
    let [low, high] = [0, payloads.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareAt(starts, middle, address) <= 0) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? NOWHERE : (payloads[low - 1] as number);
  };
  return {
    blockCount,
    byteCount: starts.byteLength + payloads.byteLength,
    has: (address) => find(address) !== NOWHERE,
    place: (address) => places[find(address)] ?? null,
  };
}

/** @param each - a block, null for a line to skip, or what is wrong with it */
function readLines(text: string, each: (line: string, number: number) => Block | string | null): Result<Block[], ListProblem> {
  const blocks: Block[] = [];
  let number = 0;
  for (let from = 0; from < text.length;) {
    const end = text.indexOf('\n', from);
    const line = text.slice(from, end < 0 ? text.length : end);
    from = end < 0 ? text.length : end + 1;
    number++;
    const said = (line.includes('#') ? line.slice(0, line.indexOf('#')) : line).trim();
    if (said === '') continue;
    const block = each(said, number);
    if (typeof block === 'string') return err({ line: number, message: block });
    if (block) blocks.push(block);
    if (blocks.length > BLOCKS_MAX) return err({ line: number, message: `more than ${BLOCKS_MAX} blocks` });
  }
  return ok(blocks);
}

function parseCidr(text: string): Omit<Block, 'payload'> | null {
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (!address) return null;
  const shift = text.includes(':') ? 0 : 96;
  if (slash < 0) return { start: address, prefix: 128 };
  const bits = text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > 128 - shift) return null;
  const prefix = Number(bits) + shift;
  return { start: masked(address, prefix), prefix };
}

function parsePlace(text: string): Place | null {
  const [country = '', latitude, longitude, ...more] = text.split(',').map((part) => part.trim());
  if (!/^[A-Z]{2}$/.test(country) || more.length > 0) return null;
  if (latitude === undefined || (latitude === '' && longitude === '')) return { country, latitude: null, longitude: null };
  const isNumber = (part: string | undefined, max: number): boolean =>
    /^-?\d{1,3}(\.\d+)?$/.test(part ?? '') && Math.abs(Number(part)) <= max;
  if (!isNumber(latitude, 90) || !isNumber(longitude, 180)) return null;
  return { country, latitude: Number(latitude), longitude: Number(longitude) };
}

/** Flattens nested blocks into boundaries: from each on, until the next, one payload holds. */
function flatten(blocks: Block[], places: readonly Place[]): IpBlocks {
  blocks.sort((a, b) => compare(a.start, b.start) || a.prefix - b.prefix);
  const starts = new Uint32Array(4 * (2 * blocks.length + 1));
  const payloads = new Int32Array(2 * blocks.length + 1);
  let count = 0;
  const mark = (at: Address, payload: number): void => {
    if (count > 0 && compareAt(starts, count - 1, at) === 0) count--;
    if (count > 0 ? payloads[count - 1] === payload : payload === NOWHERE) return;
    starts.set(at, 4 * count);
    payloads[count++] = payload;
  };
  // Blocks are nested or apart, never across each other: those still open are a stack.
  const open: { readonly after: Address | null; readonly payload: number }[] = [];
  const closeUntil = (at: Address | null): void => {
    for (let top = open.at(-1); top?.after && (at === null || compare(top.after, at) <= 0); top = open.at(-1)) {
      open.pop();
      mark(top.after, open.at(-1)?.payload ?? NOWHERE);
    }
  };
  for (const { start, prefix, payload } of blocks) {
    closeUntil(start);
    mark(start, payload);
    open.push({ after: firstAfter(start, prefix), payload });
  }
  closeUntil(null);

  return { blockCount: blocks.length, starts: starts.slice(0, 4 * count), payloads: payloads.slice(0, count), places };
}

function compare(a: Address, b: Address): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2] || a[3] - b[3];
}

function compareAt(starts: Uint32Array, at: number, b: Address): number {
  const word = 4 * at;
  return (
    (starts[word] as number) - b[0] ||
    (starts[word + 1] as number) - b[1] ||
    (starts[word + 2] as number) - b[2] ||
    (starts[word + 3] as number) - b[3]
  );
}

/** The address with all bits after its prefix zero. */
function masked(address: Address, prefix: number): Address {
  const word = (at: number): number => {
    const bits = Math.min(32, Math.max(0, prefix - 32 * at));
    return bits === 0 ? 0 : ((address[at] as number) & (0xffff_ffff << (32 - bits))) >>> 0;
  };
  return [word(0), word(1), word(2), word(3)];
}

/** The first address after a block; null for a block that ends where all addresses do. */
function firstAfter(start: Address, prefix: number): Address | null {
  const words: [number, number, number, number] = [...start];
  let carry = 2 ** (31 - ((prefix - 1) & 31));
  for (let at = (prefix - 1) >> 5; at >= 0; at--) {
    const sum = (words[at] as number) + carry;
    words[at] = sum >>> 0;
    if (sum < 2 ** 32) return words;
    carry = 1;
  }
  return null;
}
