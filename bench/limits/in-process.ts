import { startWorkerProcess } from '../host/worker-process.ts';
import type { Metrics } from '../measure.ts';
import { formatNumber, formatTable } from '../report/table.ts';
import { judge, metricOf, spreadOf, type Rounds, type Target } from '../stats/summary.ts';
import type { Counts } from './full-tree.ts';
import type { MetersOrder, OneLevelBy } from './meters-process.ts';
import { formatVerdict, type Part, type PartOptions } from './part.ts';

const TREE: Counts = [100_000, 400_000, 1_500_000, 8_000_000];
const INDEPENDENT: Counts = [2_500_000, 2_500_000, 2_500_000, 2_500_000];
const HOT: Counts = [250, 250, 250, 250];
const KEYS = 100_000;
const PEER = 'rate-limiter-flexible';
const SEED = 20_231_116;

interface Measured {
  readonly name: string;
  readonly about: string;
  readonly order: (seconds: number) => MetersOrder;
  readonly env?: Readonly<Record<string, string>>;
}

const fullTree =
  (counts: Counts, draw: 'tree' | 'independent') =>
  (seconds: number): MetersOrder => ({ kind: 'full-tree', counts, draw, seed: SEED, seconds });
const oneLevel =
  (by: OneLevelBy) =>
  (seconds: number): MetersOrder => ({ kind: 'one-level', by, keys: KEYS, seed: SEED, seconds });

const MEASURED: readonly Measured[] = [
  { name: 'memory', about: 'one read of 512 MB of memory that the next depends on', order: () => ({ kind: 'memory-latency' }) },
  {
    name: 'tree',
    about: '10 M subjects: 100,000 organizations, 400,000 workspaces, 1.5 M keys, 8 M end users; an end user at random',
    order: fullTree(TREE, 'tree'),
  },
  {
    name: 'independent',
    about: '10 M subjects: 2.5 M a level, each drawn by itself',
    order: fullTree(INDEPENDENT, 'independent'),
  },
  {
    name: 'independent, huge pages',
    about: 'the same, with glibc told to ask for pages of 2 MB (GLIBC_TUNABLES=glibc.malloc.hugetlb=1)',
    order: fullTree(INDEPENDENT, 'independent'),
    env: { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' },
  },
  { name: 'hot', about: '1,000 subjects, 250 a level', order: fullTree(HOT, 'independent') },
  {
    name: 'one level',
    about: `one limit on ${KEYS.toLocaleString('en-US')} keys; the hash of a key is at hand`,
    order: oneLevel('hash'),
  },
  {
    name: 'one level, by name',
    about: 'the same; a key is given by its name, which is hashed each time',
    order: oneLevel('name'),
  },
  {
    name: 'one level, kept',
    about: 'the same; the hash is in an object of each key, as the gateway keeps it',
    order: oneLevel('object'),
  },
  {
    name: PEER,
    about: 'the same limit and names by its RateLimiterMemory, awaited one by one',
    order: (seconds) => ({ kind: 'peer', keys: KEYS, seed: SEED, seconds }),
  },
];

const TARGETS: readonly (Target & { readonly system: string; readonly against: string })[] = [
  ...['tree', 'independent'].flatMap((system) => [
    target(system, 'perSecond', 'decisions/s', { atLeast: 1_000_000 }),
    target(system, 'p99Us', 'p99 of single decisions, µs', { atMost: 10 }),
    target(system, 'bytesPerSubject', 'bytes a subject', { atMost: 80 }),
    target(system, 'stallMs', 'longest stall while growing, ms', { atMost: 20 }),
  ]),
  ...['one level', 'one level, by name', 'one level, kept'].map((system) => ({
    ...target(system, 'perSecond', `decisions/s ÷ those of ${PEER}`, { atLeast: 5 }),
    by: 'ratio' as const,
    against: PEER,
  })),
];

function target(system: string, metric: string, says: string, bound: Target['bound']): (typeof TARGETS)[number] {
  return { caseName: system, metric, says: `${system}: ${says}`, by: 'value', bound, system, against: '' };
}

/** Counters in memory: the full tree of 4 levels by 4 dimensions, and one level beside a peer. */
export async function measureInProcess({ rounds, seconds, core, say, stops }: PartOptions): Promise<Part> {
  const found: Record<string, Metrics[]> = {};
  for (let round = 0; round < rounds; round++)
    for (const { name, order, env } of MEASURED) {
      say(`in-process, round ${round + 1} of ${rounds}: ${name}`);
      const script = new URL('./meters-process.ts', import.meta.url);
      const child = await startWorkerProcess<MetersOrder, Metrics>({ core, script, read: (value) => value as Metrics, env });
      stops.add(() => child.stop());
      (found[name] ??= []).push(await child.ask(order(seconds)));
      await child.stop();
    }
  return {
    title: 'in process: one decision over 4 levels by 4 dimensions (requests, input, output, spend), one core',
    lines: linesOf(found),
  };
}

function linesOf(rounds: Rounds): readonly string[] {
  const middle = (system: string, metric: string): string => formatNumber(spreadOf(metricOf(rounds, system, metric)).median);
  const range = (system: string, metric: string): string => {
    const { median, min, max } = spreadOf(metricOf(rounds, system, metric));
    return Number.isFinite(median) ? `${formatNumber(median)} [${formatNumber(min)}–${formatNumber(max)}]` : '–';
  };
  const header = [
    '',
    'decisions/s',
    'per CPU s',
    'p50 µs',
    'p99 µs',
    'p99.9 µs',
    'bytes/subject',
    'stall ms',
    'of it CPU',
    'refused',
  ];
  const rows = MEASURED.slice(1).map(({ name }) => [
    name,
    range(name, 'perSecond'),
    middle(name, 'perCpuSecond'),
    ...['p50Us', 'p99Us', 'p999Us'].map((metric) => middle(name, metric)),
    middle(name, 'bytesPerSubject'),
    range(name, 'stallMs'),
    middle(name, 'stallCpuMs'),
    middle(name, 'refused'),
  ]);
  const reads = metricOf(rounds, 'memory', 'readNs').map(formatNumber).join(', ');
  return [
    ...MEASURED.map(({ name, about }) => `  ${name}: ${about}`),
    '  Drawing the subjects is in decisions/s; of single decisions the timer itself is taken off',
    `  (${middle('hot', 'timerUs')} µs). A stall is the longest single decision while growing to all subjects.`,
    `  memory, by round: ${reads} ns a read`,
    '',
    ...formatTable(header, rows),
    '',
    ...TARGETS.map((each) => formatVerdict(each, judge(each, rounds, each.system, each.against))),
  ];
}
