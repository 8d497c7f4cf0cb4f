import { invariant } from '../kernel/index.ts';

/**
 * Counts distinct things in fixed memory: exactly up to 32 of them (but for two that share a 32-bit hash, once in 8 million such
 * sets), then by HyperLogLog with a standard error of 1.04/√m. A sketch lies in `wordCount` words of an array that the caller owns,
 * all zero when new.
 */
export interface DistinctCounter {
  /** 32-bit words that one sketch takes. */
  readonly wordCount: number;
  /** Standard error of an estimate, relative; of a set of at most 32, it is none. */
  readonly standardErrorRatio: number;
  /** @param hash - 32 keyed bits of what was seen */
  add(memory: Uint32Array, at: number, hash: number): void;
  /** How many distinct hashes were added. */
  count(memory: Uint32Array, at: number): number;
  /** How many distinct hashes two sketches of one memory hold together, and whether that is exact. */
  countUnion(memory: Uint32Array, at: number, otherAt: number): { readonly count: number; readonly isExact: boolean };
  /** Adds to one sketch what another holds. */
  merge(memory: Uint32Array, at: number, from: Uint32Array, fromAt: number): void;
  /** Whether the count is exact, not estimated. */
  isExact(memory: Uint32Array, at: number): boolean;
}

/** Distinct things that are kept as they are, before they become registers. */
export const EXACT_MAX = 32;
/** In the first word: the number of hashes kept, or this. */
const DENSE = EXACT_MAX + 1;
/** Registers of five bits, six to a word: a 32-bit hash has no longer run of zeros than they can hold. */
const REGISTERS_PER_WORD = 6;

/**
 * @param registerBits - log2 of the registers m, 8 to 16: 256 → 6.5 %, 1,024 → 3.25 %, 4,096 → 1.63 %, 16,384 → 0.81 %
 * Source: Flajolet et al. 2007; the estimator is Ertl's (arXiv:1702.01284), which needs no table and has no bump between its ranges.
 */
export function createDistinctCounter(registerBits: number): DistinctCounter {
  invariant(registerBits >= 8 && registerBits <= 16, 'a sketch has 2^8 to 2^16 registers');
  const registers = 2 ** registerBits;
  const rankMax = 32 - registerBits + 1;
  const wordCount = 1 + Math.ceil(registers / REGISTERS_PER_WORD);
  const scratch = new Uint32Array(wordCount);
  const histogram = new Uint32Array(rankMax + 1);

  const raise = (memory: Uint32Array, at: number, register: number, rank: number): void => {
    const word = at + 1 + Math.floor(register / REGISTERS_PER_WORD);
    const shift = (register % REGISTERS_PER_WORD) * 5;
    const value = memory[word] as number;
    if (((value >>> shift) & 31) < rank) memory[word] = (value & ~(31 << shift)) | (rank << shift);
  };
  const addDense = (memory: Uint32Array, at: number, hash: number): void => {
    const rest = hash << registerBits;
    raise(memory, at, hash >>> (32 - registerBits), rest === 0 ? rankMax : Math.min(Math.clz32(rest) + 1, rankMax));
  };
  const makeDense = (memory: Uint32Array, at: number): void => {
    const count = memory[at] as number;
    const kept = memory.slice(at + 1, at + 1 + count);
    memory.fill(0, at, at + wordCount);
    memory[at] = DENSE;
    for (const hash of kept) addDense(memory, at, hash);
  };

  const counter: DistinctCounter = {
    wordCount,
    standardErrorRatio: 1.04 / Math.sqrt(registers),
    add(memory, at, hash) {
      const count = memory[at] as number;
      if (count !== DENSE) {
        for (let place = at + 1; place <= at + count; place++) if (memory[place] === hash) return;
        if (count < EXACT_MAX) {
          memory[at + 1 + count] = hash;
          memory[at] = count + 1;
          return;
        }
        makeDense(memory, at);
      }
      addDense(memory, at, hash);
    },
    count(memory, at) {
      const kept = memory[at] as number;
      if (kept !== DENSE) return kept;
      histogram.fill(0);
      for (let register = 0; register < registers; register++) {
        const rank =
          ((memory[at + 1 + Math.floor(register / REGISTERS_PER_WORD)] as number) >>> ((register % REGISTERS_PER_WORD) * 5)) & 31;
        histogram[rank] = (histogram[rank] as number) + 1;
      }
      return Math.round(estimate(histogram, registers));
    },
    countUnion(memory, at, otherAt) {
      scratch.set(memory.subarray(at, at + wordCount));
      counter.merge(scratch, 0, memory, otherAt);
      return { count: counter.count(scratch, 0), isExact: counter.isExact(scratch, 0) };
    },
    merge(memory, at, from, fromAt) {
      const count = from[fromAt] as number;
      if (count !== DENSE) {
        for (let place = fromAt + 1; place <= fromAt + count; place++) counter.add(memory, at, from[place] as number);
        return;
      }
      if (memory[at] !== DENSE) makeDense(memory, at);
      for (let register = 0; register < registers; register++) {
        const word = fromAt + 1 + Math.floor(register / REGISTERS_PER_WORD);
        raise(memory, at, register, ((from[word] as number) >>> ((register % REGISTERS_PER_WORD) * 5)) & 31);
      }
    },
    isExact: (memory, at) => memory[at] !== DENSE,
  };
  return counter;
}

/** @param histogram - how many registers hold each rank, 0 to the highest there is */
function estimate(histogram: Uint32Array, registers: number): number {
  const rankMax = histogram.length - 1;
  let sum = registers * tau(1 - (histogram[rankMax] as number) / registers);
  for (let rank = rankMax - 1; rank >= 1; rank--) sum = 0.5 * (sum + (histogram[rank] as number));
  sum += registers * sigma((histogram[0] as number) / registers);
  return (registers * registers) / (2 * Math.LN2 * sum);
}

/** Stands for the empty registers. */
function sigma(share: number): number {
  if (share === 1) return Infinity;
  let [power, factor, sum, before] = [share, 1, share, -1];
  while (sum !== before) {
    power *= power;
    before = sum;
    sum += power * factor;
    factor += factor;
  }
  return sum;
}

/** Stands for the registers that are as full as they can be. */
function tau(share: number): number {
  if (share === 0 || share === 1) return 0;
  let [root, factor, sum, before] = [share, 1, 1 - share, -1];
  while (sum !== before) {
    root = Math.sqrt(root);
    before = sum;
    factor *= 0.5;
    sum -= (1 - root) ** 2 * factor;
  }
  return sum / 3;
}
