import { casesFor, FULL, scriptsOf, type Case, type Scale } from '../cases.ts';
import { pinThisProcess } from '../host/pinned.ts';
import { measure, type Metrics } from '../measure.ts';
import { formatNumber, formatTable } from '../report/table.ts';
import { setTheStage } from '../stage.ts';
import { compare, metricOf, spreadOf, type Rounds } from '../stats/summary.ts';
import { plimsollWith } from '../systems/plimsoll.ts';
import type { RunningSystem } from '../systems/system.ts';
import { formatVerdict, type Part, type PartOptions } from './part.ts';

const CASES = ['sequential', 'sweep-16'];
const STAGES = ['authenticate', 'admit', 'settle'] as const;
const [NONE, ALL] = ['no limits', 'all limits'];
const PLENTY = 1_000_000_000;

/** Limits on every level, none of which is ever reached. */
const LIMITS = {
  defaults: { rpm: PLENTY, itpm: PLENTY, otpm: PLENTY, concurrency: 10_000 },
  rules: [
    { id: 'organization-rpm', per: ['organization'], of: 'requests', limit: PLENTY, window: '1m' },
    { id: 'organization-tpm', per: ['organization'], of: 'total_tokens', limit: PLENTY, window: '1m' },
    { id: 'spend-month', per: ['organization'], of: 'spend', limit: PLENTY, window: 'month' },
    { id: 'workspace-rpm', per: ['workspace'], of: 'requests', limit: PLENTY, window: '1m' },
    { id: 'workspace-tpm', per: ['workspace'], of: 'total_tokens', limit: PLENTY, window: '1m' },
    { id: 'end-user-rpm', per: ['end_user'], of: 'requests', limit: PLENTY, window: '1m' },
  ],
};

/** What authentication and limits add to a request: the same gateway without any limit and with all of them, and its own clock. */
export async function measurePath({ rounds, seconds, core, say, stops }: PartOptions): Promise<Part> {
  const scale: Scale = { ...FULL, rounds, warmUpMs: 1_000, durationMs: seconds * 1_000 };
  const cases = casesFor(scale).filter(({ name }) => CASES.includes(name));
  const around = core === 0 ? 1 : 0;
  const endUser = 'user_1';
  pinThisProcess(around);
  const { stage, running, leftOut } = await setTheStage({
    cores: { system: core, load: around, mock: around },
    systems: [
      plimsollWith({ name: NONE, about: '', endUser }),
      plimsollWith({ name: ALL, about: '', endUser, configured: { limits: LIMITS } }),
    ],
    // All of them: some are rehearsed before any case.
    scripts: scriptsOf(casesFor(scale)),
    nodeArgs: [],
    say,
    stops,
  });
  const lines = leftOut.map(({ name, because }) => `  ${name}: LEFT OUT, ${because}`);
  for (const testCase of cases) {
    const found: Record<string, Metrics[]> = {};
    for (let round = 0; round < rounds; round++)
      for (const [name, system] of running) {
        say(`path, ${testCase.name}, round ${round + 1} of ${rounds}: ${name}`);
        const before = await readStages(system);
        const metrics = await measure(stage, system, testCase, scale);
        (found[name] ??= []).push({ ...metrics, ...meansOf(before, await readStages(system)) });
      }
    lines.push(...linesOf(testCase, found));
  }
  return { title: 'on the request path: authentication and limits of a whole gateway, limits in memory', lines };
}

type Stages = ReadonlyMap<string, { readonly sumS: number; readonly count: number }>;

async function readStages({ metrics }: RunningSystem): Promise<Stages> {
  const text = (await metrics?.()) ?? '';
  const read = (name: string, stage: string): number =>
    Number(new RegExp(`^plimsoll_stage_seconds_${name}\\{stage="${stage}"\\} (\\S+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
  return new Map(STAGES.map((stage) => [stage, { sumS: read('sum', stage), count: read('count', stage) }]));
}

function meansOf(before: Stages, after: Stages): Metrics {
  const means = STAGES.map((stage): [string, number] => {
    const [from, to] = [before.get(stage), after.get(stage)];
    return [stage, from && to ? ((to.sumS - from.sumS) * 1e6) / (to.count - from.count) : Number.NaN];
  });
  return Object.fromEntries(means);
}

function linesOf({ title, name }: Case, rounds: Rounds): readonly string[] {
  const range = (values: readonly number[]): string => {
    const { median, min, max } = spreadOf(values);
    return Number.isFinite(median) ? `${formatNumber(median)} [${formatNumber(min)}–${formatNumber(max)}]` : '–';
  };
  const rows = Object.keys(rounds).map((system) => [
    system,
    ...['p50Us', 'p99Us', 'requestsPerSecond', 'cpuUsPerRequest', ...STAGES, 'failures'].map((metric) =>
      range(metricOf(rounds, system, metric)),
    ),
  ]);
  const added = compare(rounds, 'p50Us', { system: ALL as string, against: NONE as string, by: 'difference' });
  const authenticated = metricOf(rounds, ALL as string, 'authenticate');
  const sums = added.map((us, round) => us + (authenticated[round] ?? Number.NaN));
  const bound = { atMost: 30 } as const;
  const kept = sums.filter((us) => us <= bound.atMost).length;
  const target = {
    caseName: name,
    metric: 'p50Us',
    says: `${name}: added µs at the median (limits by difference, authentication by its own clock)`,
    by: 'value',
    bound,
  } as const;
  return [
    '',
    `  ${title}`,
    ...formatTable(['', 'p50 µs', 'p99 µs', 'req/s', 'CPU µs/req', 'authenticate µs', 'admit µs', 'settle µs', 'failed'], rows),
    formatVerdict(target, {
      kind: sums.length === 0 ? 'unmeasured' : kept === sums.length ? 'met' : kept === 0 ? 'missed' : 'mixed',
      spread: spreadOf(sums),
      kept,
    }),
  ];
}
