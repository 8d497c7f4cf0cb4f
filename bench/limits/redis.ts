import { spawnSync } from 'node:child_process';
import { acceptsConnections } from '../host/accepts-connections.ts';
import { startPinned } from '../host/pinned.ts';
import { findFreePort, waitUntilUp } from '../host/ports.ts';
import { startWorkerProcess } from '../host/worker-process.ts';
import type { Metrics } from '../measure.ts';
import { formatNumber, formatTable } from '../report/table.ts';
import { judge, metricOf, spreadOf, type Rounds, type Target } from '../stats/summary.ts';
import { formatVerdict, type Part, type PartOptions } from './part.ts';
import type { RedisOrder } from './redis-process.ts';

const TITLE = 'Redis: one atomic decision over four limits; and leases';
const PEER = 'rate-limiter-flexible';
const ATOMIC = { keys: 100_000, inFlight: 64, seed: 20_231_116 } as const;
const LEASES = { kind: 'leases', tenants: 1_000, exponent: 1, seed: 20_231_116 } as const;

type Place = Pick<RedisOrder, 'port' | 'seconds'>;
const leasesName = (isExact: boolean, pausedMs: number): string =>
  `leases, ${isExact ? 'settled at 0' : 'settled'}${pausedMs === 0 ? '' : ', 3,000/s'}`;

const MEASURED: readonly { readonly name: string; readonly order: (place: Place) => RedisOrder }[] = [
  { name: 'four subjects', order: (place) => ({ ...place, ...ATOMIC, kind: 'ours', shape: 'levels' }) },
  { name: `four subjects, ${PEER}`, order: (place) => ({ ...place, ...ATOMIC, kind: 'peer', shape: 'levels' }) },
  { name: 'one subject', order: (place) => ({ ...place, ...ATOMIC, kind: 'ours', shape: 'dimensions' }) },
  { name: `one subject, ${PEER}`, order: (place) => ({ ...place, ...ATOMIC, kind: 'peer', shape: 'dimensions' }) },
  ...[true, false].flatMap((isExact) =>
    [0, 20].map((pausedMs) => ({
      name: leasesName(isExact, pausedMs),
      order: (place: Place): RedisOrder => ({ ...place, ...LEASES, inFlight: 64, pausedMs, isExact }),
    })),
  ),
];

const TARGETS: readonly (Target & { readonly system: string; readonly against: string })[] = [
  ...['four subjects', 'one subject'].map((system) => ({
    caseName: system,
    metric: 'perSecond',
    says: `${system}: decisions/s ÷ those by four calls of ${PEER}`,
    by: 'ratio' as const,
    bound: { atLeast: 2 },
    system,
    against: `${system}, ${PEER}`,
  })),
  ...MEASURED.filter(({ name }) => name.startsWith('leases')).map(({ name: system }) => ({
    caseName: system,
    metric: 'perOperation',
    says: `${system}: decisions for each operation of Redis`,
    by: 'value' as const,
    bound: { atLeast: 20 },
    system,
    against: '',
  })),
];

/** Limits that a fleet shares, on a server of its own on a free loopback port. */
export async function measureRedis({ rounds, seconds, core, say, stops }: PartOptions): Promise<Part> {
  if (spawnSync('redis-server', ['--version']).status !== 0)
    return { title: TITLE, lines: ['  skipped: there is no redis-server on this machine'] };
  const port = await findFreePort();
  const server = await startPinned({
    core: core === 0 ? 1 : 0,
    command: 'redis-server',
    args: ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
  });
  stops.add(() => server.stop());
  await waitUntilUp(server, () => acceptsConnections(port), 10_000);
  const script = new URL('./redis-process.ts', import.meta.url);
  const found: Record<string, Metrics[]> = {};
  for (let round = 0; round < rounds; round++)
    for (const { name, order } of MEASURED) {
      say(`redis, round ${round + 1} of ${rounds}: ${name}`);
      const child = await startWorkerProcess<RedisOrder, Metrics>({ core, script, read: (value) => value as Metrics });
      stops.add(() => child.stop());
      (found[name] ??= []).push(await child.ask(order({ port, seconds })));
      await child.stop();
    }
  return { title: TITLE, lines: linesOf(found, spawnSync('redis-server', ['--version']).stdout.toString().trim()) };
}

function linesOf(rounds: Rounds, version: string): readonly string[] {
  const range = (system: string, metric: string): string => {
    const { median, min, max } = spreadOf(metricOf(rounds, system, metric));
    return Number.isFinite(median) ? `${formatNumber(median)} [${formatNumber(min)}–${formatNumber(max)}]` : '–';
  };
  const rows = MEASURED.map(({ name }) => [
    name,
    ...['perSecond', 'clientUs', 'serverUs', 'perOperation', 'askedRatio', 'apartRatio', 'refusedRatio'].map((metric) =>
      range(name, metric),
    ),
  ]);
  return [
    `  ${version.split(' ').slice(0, 3).join(' ')}, with a core of its own; the client has the other. ${ATOMIC.inFlight} decisions in flight, ${ATOMIC.keys.toLocaleString('en-US')} keys.`,
    '  four subjects: one limit each on organization, workspace, key and end user; one subject: four limits on a key.',
    `  ${PEER}: its RateLimiterRedis, four limiters asked at once, on the same client library; what one refuses the others charge.`,
    `  leases: whole requests of four limits on ${LEASES.tenants.toLocaleString('en-US')} keys of Zipf ${LEASES.exponent}, one gateway, as fast as it goes. settled: tokens are corrected by`,
    '  20, −50 and −30 at the end of a request; settled at 0: what was reserved was right. 3,000/s: 64 callers, each pausing 20 ms.',
    '',
    ...formatTable(['', 'decisions/s', 'client µs', 'server µs', 'per operation', 'had to ask', 'local share', 'refused'], rows),
    '',
    ...TARGETS.map((each) => formatVerdict(each, judge(each, rounds, each.system, each.against))),
  ];
}
