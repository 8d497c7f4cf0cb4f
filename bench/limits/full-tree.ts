import {
  compileRate,
  type Ask,
  type MeterBook,
  type MeterGroup,
  type Rate,
  type RateSpec,
  type Rule,
  type Scope,
} from '#core/limits';

/** Subjects of the four levels: organization, workspace, key, end user. */
export type Counts = readonly [number, number, number, number];

/**
 * `tree`: an end user at random, with the key, workspace and organization it belongs to. `independent`: a subject of every level at
 * random, whoever it belongs to: no two reads of a decision are near each other.
 */
export type Draw = 'tree' | 'independent';

export interface FullTree {
  /** Uses half of every meter of every subject, one subject after another. @param each - called after every one */
  fill(book: MeterBook, each: () => void): void;
  /** The next request; the object is the same each time. */
  next(): Ask;
}

const HOUR_US = 3_600_000_000;
/** Of all decisions: a month that does not end meanwhile. */
export const WALL_MS = Date.UTC(2026, 0, 15);
const LEVELS = ['organization', 'workspace', 'key', 'end_user'] as const;

/** Four dimensions, with room for what a run sends: a refusal is a decision of another kind. */
const DIMENSIONS: readonly {
  readonly id: string;
  readonly measure: Rule['measure'];
  readonly spec: RateSpec;
  readonly cost: number;
}[] = [
  { id: 'requests', measure: 'requests', spec: perHour(10_000_000), cost: 1 },
  { id: 'input', measure: 'input_tokens', spec: perHour(6_000_000_000), cost: 500 },
  { id: 'output', measure: 'output_tokens', spec: perHour(3_000_000_000), cost: 200 },
  { id: 'spend', measure: 'spend', spec: { kind: 'month', limit: 60_000_000_000 }, cost: 4_500 },
];

/**
 * @param counts - subjects of each level; the tree's branches are even
 * @param seed - of the draws
 */
export function createFullTree({
  counts,
  draw,
  seed,
}: {
  readonly counts: Counts;
  readonly draw: Draw;
  readonly seed: number;
}): FullTree {
  const rates = DIMENSIONS.map(({ spec }) => rateOf(spec));
  const groups = LEVELS.map((id, index) => newGroup({ index, id, rules: DIMENSIONS.map(ruleOf) }, rates));
  const ask: Ask = { groups, costs: Float64Array.from(LEVELS.flatMap(() => DIMENSIONS.map(({ cost }) => cost))) };
  const random = createRandom(seed);
  return {
    fill(book, each) {
      const half = Float64Array.from(rates, ({ burst }) => burst / 2);
      const slot = { refusedBy: -1, waitUs: 0, ahead: new Float64Array(half.length) };
      for (const [level, group] of groups.entries())
        for (let subject = 0; subject < (counts[level] as number); subject++) {
          aim(group, subject);
          book.take({ groups: [group], costs: half }, 0, WALL_MS, slot);
          each();
        }
    },
    next() {
      let subject = random(counts[3]);
      for (let level = 3; ; level--) {
        aim(groups[level] as Aimed, subject);
        if (level === 0) return ask;
        const above = counts[level - 1] as number;
        subject = draw === 'tree' ? Math.floor((subject * above) / (counts[level] as number)) : random(above);
      }
    },
  };
}

type Aimed = { -readonly [Field in keyof MeterGroup]: MeterGroup[Field] };

export const newGroup = (scope: Scope, rates: readonly Rate[]): Aimed => ({
  scope,
  tenant: 'org',
  subject: 'any',
  hashHigh: 0.5,
  hashLow: 0.5,
  rates,
});

/** Makes a group that of another subject: its hash is as scattered as a keyed hash of its name. Source: the finalizer of MurmurHash3. */
export function aim(group: Aimed, subject: number): void {
  group.hashLow = scattered(subject + 0x9e37_79b9 * (group.scope.index + 1));
  group.hashHigh = scattered(group.hashLow ^ subject);
}

function scattered(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** @returns draws from 0 to below a bound. Source: xorshift32, Marsaglia 2003. */
export function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return Math.floor(((state >>> 0) / 2 ** 32) * below);
  };
}

export function rateOf(spec: RateSpec): Rate {
  const rate = compileRate(spec);
  if (!rate.ok) throw new Error(rate.error);
  return rate.value;
}

export function perHour(limit: number): RateSpec {
  return { kind: 'rate', limit, windowUs: HOUR_US, burst: limit };
}

export const ruleOf = ({ id, measure }: { readonly id: string; readonly measure: Rule['measure'] }): Rule => ({
  id,
  measure,
  output: 'quantile',
  cacheReadWeight: 0,
  hardStop: false,
  whenAway: 'local_share',
  isLeased: true,
  isDryRun: false,
  isMetered: false,
});
