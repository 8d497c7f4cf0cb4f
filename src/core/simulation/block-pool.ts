import { invariant } from '../kernel/index.ts';

/** A block of keys and values in the simulated accelerator's memory. */
export interface Block {
  /** Content address: the hash of everything up to and including this block; null while the block is not full. */
  key: string | null;
  /** Sequences that use it now. */
  uses: number;
}

/**
 * Memory for keys and values, in blocks. A full block that nobody uses keeps its content until the room is needed; the one unused
 * for longest goes first, and of blocks released together the last of the sequence goes first, since a prefix is worth nothing
 * without what stands before it.
 */
export interface BlockPool {
  /** Takes the leading blocks of `keys` that are held, so that they cannot be evicted. */
  take(keys: Iterable<string>): Block[];
  /** An empty block, evicting the oldest unused one if it must. Only while fewer than `capacity` are in use. */
  allocate(): Block;
  /** Gives a block that is now full its address, so that others find it. A second block of the same content stays unaddressed. */
  seal(block: Block, key: string): void;
  /** Gives back the blocks of a sequence, first block first. */
  release(blocks: readonly Block[]): void;
  /** Forgets everything that nobody uses now. */
  clear(): void;
  /** Blocks in use, blocks kept unused, and all there are. */
  counts(): { readonly used: number; readonly kept: number; readonly capacity: number };
}

/**
 * Makes an empty {@link BlockPool}.
 * @param capacity - whole blocks, 1 or more
 * Source: the free-block queue and hash table of vLLM's `BlockPool` (v1/core/block_pool.py), in our words.
 */
export function createBlockPool(capacity: number): BlockPool {
  invariant(Number.isInteger(capacity) && capacity >= 1, `a pool needs at least one block, not ${capacity}`);
  const addressed = new Map<string, Block>();
  /** Unused blocks that hold content, oldest first: a Set iterates in the order of insertion. */
  const kept = new Set<Block>();
  let used = 0;

  const leading = function* (keys: Iterable<string>): Generator<Block> {
    for (const key of keys) {
      const block = addressed.get(key);
      if (block === undefined) return;
      yield block;
    }
  };
  const forget = (block: Block): void => {
    kept.delete(block);
    if (block.key !== null) addressed.delete(block.key);
    block.key = null;
  };
  return {
    take(keys) {
      const blocks = [...leading(keys)];
      for (const block of blocks) {
        if (block.uses === 0) {
          kept.delete(block);
          used += 1;
        }
        block.uses += 1;
      }
      return blocks;
    },
    allocate() {
      if (used + kept.size >= capacity) {
        const [oldest] = kept;
        invariant(oldest !== undefined, 'every block is in use');
        forget(oldest);
      }
      used += 1;
      return { key: null, uses: 1 };
    },
    seal(block, key) {
      invariant(block.uses > 0 && block.key === null, 'only a block in use is sealed, once');
      if (addressed.has(key)) return;
      block.key = key;
      addressed.set(key, block);
    },
    release(blocks) {
      for (const block of blocks.toReversed()) {
        invariant(block.uses > 0, 'a block is released once for each use');
        block.uses -= 1;
        if (block.uses > 0) continue;
        used -= 1;
        if (block.key !== null) kept.add(block);
      }
    },
    clear() {
      for (const block of kept) forget(block);
    },
    counts: () => ({ used, kept: kept.size, capacity }),
  };
}
