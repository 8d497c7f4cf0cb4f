import path from 'node:path';
import type { JournalFile, JournalFiles } from './files.ts';

/**
 * The tests' disk, in memory: it forgets what was not synced when the power is cut, tearing writes at any byte and keeping any
 * of them and any change of names; it can be full, and it can fail.
 */
export interface FaultyFiles extends JournalFiles {
  /** What is left after a power cut; what was open before is dead. `chance` is uniform in [0, 1). */
  powerCut(chance: () => number): FaultyFiles;
  /** What is left after the process was killed: all that it wrote, but none of what it still does. */
  kill(): FaultyFiles;
  /** Every write, sync and change of names (or every sync only) fails with this code from now on; null: they work again. */
  failWith(code: 'ENOSPC' | 'EIO' | null, what?: 'everything' | 'syncs'): void;
  /** Files may take this many bytes together. */
  setCapacity(bytes: number): void;
  /** The bytes of a file, to damage them: changes are durable. */
  bytesOf(file: string): Buffer;
  readonly syncs: number;
}

interface Inode {
  durable: Buffer<ArrayBuffer>;
  current: Buffer<ArrayBuffer>;
  pending: { readonly at: number; readonly bytes: Buffer }[];
}

type NameChange =
  | { readonly kind: 'make'; readonly name: string; readonly node: Inode }
  | { readonly kind: 'rename'; readonly name: string; readonly to: string }
  | { readonly kind: 'remove'; readonly name: string };

const SECTOR_BYTES = 512;

export function createFaultyFiles(existing: ReadonlyMap<string, Inode> = new Map()): FaultyFiles {
  const durableNames = new Map(existing);
  const names = new Map(existing);
  let changes: NameChange[] = [];
  let failure: string | null = null;
  let failing: 'everything' | 'syncs' = 'everything';
  let capacity = Number.MAX_SAFE_INTEGER;
  let isDead = false;
  let syncs = 0;

  function check(what: 'sync' | 'change'): void {
    if (isDead) throw coded('ESTALE');
    if (failure !== null && (what === 'sync' || failing === 'everything')) throw coded(failure);
  }

  function change(each: NameChange): void {
    check('change');
    changes.push(each);
    applyChange(names, each);
  }

  function find(file: string): Inode {
    const node = names.get(path.normalize(file));
    if (!node || isDead) throw coded(isDead ? 'ESTALE' : 'ENOENT');
    return node;
  }

  function openNode(node: Inode): JournalFile {
    return {
      async write(bytes, at) {
        check('change');
        const used = [...names.values()].reduce((sum, each) => sum + each.current.length, 0);
        const growth = Math.max(0, at + bytes.length - node.current.length);
        if (growth > 0 && used + growth > capacity) throw coded('ENOSPC');
        node.current = overlay(node.current, bytes, at);
        node.pending.push({ at, bytes: Buffer.from(bytes) });
      },
      async read(into, at) {
        if (isDead) throw coded('ESTALE');
        return node.current.copy(into, 0, at);
      },
      async datasync() {
        // As Linux does: after a sync that failed, pages count as clean though they never reached the disk.
        if (failure === 'EIO') node.pending = [];
        check('sync');
        syncs++;
        for (const write of node.pending) node.durable = overlay(node.durable, write.bytes, write.at);
        node.pending = [];
      },
      async close() {},
    };
  }

  return {
    async makeDirectory() {},
    list: async (directory) =>
      [...names.keys()].filter((name) => path.dirname(name) === path.normalize(directory)).map((name) => path.basename(name)),
    async open(file, { create }) {
      if (!create) return openNode(find(file));
      const node: Inode = { durable: Buffer.alloc(0), current: Buffer.alloc(0), pending: [] };
      change({ kind: 'make', name: path.normalize(file), node });
      return openNode(node);
    },
    size: async (file) => find(file).current.length,
    rename: async (from, to) => {
      find(from);
      change({ kind: 'rename', name: path.normalize(from), to: path.normalize(to) });
    },
    remove: async (file) => change({ kind: 'remove', name: path.normalize(file) }),
    async syncDirectory() {
      check('sync');
      for (const each of changes) applyChange(durableNames, each);
      changes = [];
    },
    powerCut(chance) {
      isDead = true;
      for (const each of changes) if (chance() < 0.5) applyChange(durableNames, each);
      const left = new Map<Inode, Inode>();
      for (const node of durableNames.values()) left.set(node, survive(node, chance));
      return createFaultyFiles(new Map([...durableNames].map(([name, node]) => [name, left.get(node) ?? node])));
    },
    kill() {
      isDead = true;
      const copies = [...names].map(([name, inode]): [string, Inode] => [name, copyOf(inode)]);
      return createFaultyFiles(new Map(copies));
    },
    failWith(code, what = 'everything') {
      failure = code;
      failing = what;
    },
    setCapacity: (bytes) => void (capacity = bytes),
    bytesOf: (file) => find(file).current,
    get syncs() {
      return syncs;
    },
  };
}

function copyOf(inode: Inode): Inode {
  return { durable: Buffer.from(inode.durable), current: Buffer.from(inode.current), pending: [...inode.pending] };
}

/** Of each unsynced write, any sectors may have reached the disk, the last of them torn at any byte. */
function survive(node: Inode, chance: () => number): Inode {
  let bytes = Buffer.from(node.durable);
  for (const write of node.pending) {
    for (let from = 0; from < write.bytes.length; from += SECTOR_BYTES) {
      if (chance() < 0.4) continue;
      const whole = Math.min(SECTOR_BYTES, write.bytes.length - from);
      const length = chance() < 0.8 ? whole : Math.floor(chance() * whole);
      bytes = overlay(bytes, write.bytes.subarray(from, from + length), write.at + from);
    }
  }
  return { durable: bytes, current: Buffer.from(bytes), pending: [] };
}

/** Writes into `under`, in place where it is long enough. */
function overlay(under: Buffer<ArrayBuffer>, bytes: Uint8Array, at: number): Buffer<ArrayBuffer> {
  const end = at + bytes.length;
  const into = end > under.length ? Buffer.concat([under, Buffer.alloc(end - under.length)]) : under;
  into.set(bytes, at);
  return into;
}

function applyChange(names: Map<string, Inode>, change: NameChange): void {
  if (change.kind === 'make') {
    names.set(change.name, change.node);
    return;
  }
  const node = names.get(change.name);
  names.delete(change.name);
  if (node && change.kind === 'rename') names.set(change.to, node);
}

function coded(code: string): Error {
  return Object.assign(new Error(`${code}: simulated`), { code });
}
