// `npm run bench:soak -- --minutes 10`: mixed load on one system, its memory every five seconds, and whether it grows.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeMachine } from './host/machine.ts';
import { pinThisProcess } from './host/pinned.ts';
import { readFootprint } from './host/processes.ts';
import { createStopList } from './host/stop-list.ts';
import { failuresOf } from './load/failures.ts';
import { ask, targetOf, type Stage } from './measure.ts';
import type { Script } from './mock/script.ts';
import { plotMemory, type PlotLine } from './report/memory-plot.ts';
import { setTheStage } from './stage.ts';
import { fitSlope, judgeGrowth, type GrowthVerdict, type Slope } from './stats/slope.ts';
import type { RunningSystem } from './systems/system.ts';
import { SYSTEMS } from './systems/index.ts';

const USAGE = `npm run bench:soak -- [options]
  --minutes n       how long (default 10)
  --system name     ${SYSTEMS.map(({ name }) => name).join(', ')} (default plimsoll)
  --tolerance n     MiB a minute below which memory is called flat (default 1)
  --cores s,l,m     cores of the system, the load generator and the mock upstream (default 0,1,1)
  --json            print the result as JSON
Exit code: 0 flat, 1 growing, 2 could not tell.`;

const RESULTS = fileURLToPath(new URL('./results/', import.meta.url));
const PROBE = new URL('./host/heap-probe.ts', import.meta.url).href;
const SAMPLE_MS = 5000;
/** Caches, pools and compiled code fill at first: the first third of a run says nothing about growth. */
const WARM_UP_RATIO = 1 / 3;
const MIB = 2 ** 20;
const JSON_SCRIPT: Script = { kind: 'json', bytes: 1024 };
const STREAM_SCRIPT: Script = { kind: 'stream', events: 64, paceMs: 20 };
const SCRIPTS: readonly Script[] = [JSON_SCRIPT, STREAM_SCRIPT, { kind: 'stream', events: 4, paceMs: 1 }];
const COLORS = ['#1f77b4', '#d62728', '#2ca02c', '#9467bd'];
const EXIT_CODES = { flat: 0, growing: 1, 'could not tell': 2 } as const satisfies Record<GrowthVerdict, number>;

interface MemorySample {
  readonly minute: number;
  /** MiB by kind: `rss` as the kernel counts the whole process tree, the others as V8 counts the main thread. */
  readonly mib: Readonly<Record<string, number>>;
}

interface Work {
  requests: number;
  streams: number;
  eventsLost: number;
  dropped: number;
  failures: number;
}

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    system: { type: 'string', default: 'plimsoll' },
    tolerance: { type: 'string', default: '1' },
    cores: { type: 'string', default: '0,1,1' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (options.help) console.log(USAGE);
else process.exitCode = await soak();

async function soak(): Promise<number> {
  const minutes = Number(options.minutes);
  const systems = SYSTEMS.filter(({ name }) => name === options.system && name !== 'direct');
  if (!(minutes > 0) || systems.length === 0) throw new Error(`nothing to soak\n${USAGE}`);
  const [system = 0, load = 1, mock = 1] = options.cores.split(',').map(Number);
  const say = (line: string): void => void process.stderr.write(`soak: ${line}\n`);
  const stops = createStopList();
  const folder = mkdtempSync(path.join(os.tmpdir(), 'plimsoll-soak-'));
  const heapFile = path.join(folder, 'heap.jsonl');
  process.env.BENCH_HEAP_FILE = heapFile;
  process.env.BENCH_HEAP_INTERVAL_MS = String(SAMPLE_MS);
  try {
    pinThisProcess(load);
    const machine = describeMachine(new Date());
    const cores = { system, load, mock };
    const performers = await setTheStage({ cores, systems, scripts: SCRIPTS, nodeArgs: ['--import', PROBE], say, stops });
    const running = performers.running.get(options.system);
    if (running === undefined || running.pid === null) throw new Error(`${options.system} did not start`);
    const watch = watchMemory(performers.stage, running.pid, heapFile);
    say(`${minutes} minutes of mixed load on ${options.system}`);
    const work = await mixedLoad(performers.stage, running, minutes * 60_000, say);
    const samples = watch.stop();
    const series = seriesOf(samples);
    const findings = series.map((line) => judgeSeries(line, minutes * WARM_UP_RATIO));
    const verdict = verdictOf(findings.filter(({ name }) => name === 'rss' || name === 'heapUsed').map((one) => one.verdict));
    const result = { machine, system: options.system, minutes, verdict, findings, work, samples };
    mkdirSync(RESULTS, { recursive: true });
    const base = path.join(RESULTS, `soak-${options.system}-${machine.date.replaceAll(/[:.]/g, '-')}`);
    writeFileSync(`${base}.json`, `${JSON.stringify(result, null, 1)}\n`);
    writeFileSync(`${base}.svg`, plotMemory(`${options.system}: ${minutes} minutes of mixed load, ${machine.date}`, series));
    if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    else for (const line of reportLines(result)) console.log(line);
    say(`written to ${path.relative(process.cwd(), base)}.json and .svg`);
    return EXIT_CODES[verdict];
  } finally {
    await stops.stopAll();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Turns of plain requests, streams, dropped clients and a pause: what holds on to a request of any kind shows as growth. */
async function mixedLoad(stage: Stage, running: RunningSystem, forMs: number, say: (line: string) => void): Promise<Work> {
  const endMs = performance.now() + forMs;
  const work: Work = { requests: 0, streams: 0, eventsLost: 0, dropped: 0, failures: 0 };
  const requestTargets = [
    targetOf(running, JSON_SCRIPT, 'anthropic', 2048),
    targetOf(running, JSON_SCRIPT, 'openai', 2048),
    targetOf(running, JSON_SCRIPT, 'anthropic', 51_200),
  ];
  const streamTarget = targetOf(running, STREAM_SCRIPT, 'anthropic', 2048);
  for (let turn = 0; performance.now() < endMs; turn += 1) {
    const target = requestTargets[turn % requestTargets.length] ?? streamTarget;
    const plain = await ask(stage, { kind: 'closed-loop', target, connections: 32, warmUpMs: 0, durationMs: 4000 });
    const streams = { target: streamTarget, eventsPerStream: 64, connections: 200, rampMs: 400, warmUpMs: 0, durationMs: 4000 };
    const streamed = await ask(stage, { kind: 'streams', ...streams });
    await stage.mock.ask({ kind: 'forget' });
    const drops = { target: streamTarget, firstTag: 1, clients: 50, concurrency: 10, afterEvents: 3, waitMs: 0 };
    const cancelled = await ask(stage, { kind: 'cancel', ...drops });
    work.requests += plain.requests;
    work.streams += streamed.streams;
    work.eventsLost += streamed.eventsLost;
    work.dropped += cancelled.dropped.length;
    work.failures += failuresOf(plain.failures) + failuresOf(streamed.failures) + failuresOf(cancelled.failures);
    if (turn % 6 === 5) say(`${Math.round((endMs - performance.now()) / 1000)} s left, ${JSON.stringify(work)}`);
  }
  return work;
}

function watchMemory(stage: Stage, pid: number, heapFile: string): { readonly stop: () => readonly MemorySample[] } {
  const startedMs = performance.now();
  const samples: MemorySample[] = [];
  const look = (): void => {
    const mib: Record<string, number> = { rss: readFootprint(pid, stage.units).rssBytes / MIB };
    for (const [kind, bytes] of Object.entries(lastHeapLine(heapFile))) if (kind !== 'rss') mib[kind] = Number(bytes) / MIB;
    samples.push({ minute: (performance.now() - startedMs) / 60_000, mib });
  };
  const timer = setInterval(look, SAMPLE_MS);
  return {
    stop() {
      clearInterval(timer);
      return samples;
    },
  };
}

function lastHeapLine(file: string): object {
  if (!existsSync(file)) return {};
  const text = readFileSync(file, 'utf8').trimEnd();
  const parsed: unknown = JSON.parse(text.slice(text.lastIndexOf('\n') + 1));
  return typeof parsed === 'object' && parsed !== null ? parsed : {};
}

function seriesOf(samples: readonly MemorySample[]): readonly PlotLine[] {
  return ['rss', 'heapUsed', 'external', 'arrayBuffers'].flatMap((name, index) => {
    const points = samples.flatMap(({ minute, mib }) => {
      const value = mib[name];
      return value === undefined ? [] : [{ minute, value }];
    });
    return points.length === 0 ? [] : [{ name, color: COLORS[index] ?? '#000', points }];
  });
}

interface Finding {
  readonly name: string;
  readonly verdict: GrowthVerdict;
  readonly slope: Slope | null;
  readonly firstMib: number;
  readonly lastMib: number;
}

function judgeSeries({ name, points }: PlotLine, warmUpMinutes: number): Finding {
  const judged = points.filter(({ minute }) => minute >= warmUpMinutes);
  const slope = fitSlope(judged);
  const verdict = judgeGrowth(slope, Number(options.tolerance));
  return { name, verdict, slope, firstMib: points[0]?.value ?? Number.NaN, lastMib: points.at(-1)?.value ?? Number.NaN };
}

/** Growth of either is growth; only flat in both is flat. */
function verdictOf(verdicts: readonly GrowthVerdict[]): GrowthVerdict {
  if (verdicts.includes('growing')) return 'growing';
  return verdicts.length > 0 && verdicts.every((verdict) => verdict === 'flat') ? 'flat' : 'could not tell';
}

function reportLines(result: {
  readonly system: string;
  readonly minutes: number;
  readonly verdict: GrowthVerdict;
  readonly findings: readonly Finding[];
  readonly work: Work;
}): readonly string[] {
  return [
    `${result.system}, ${result.minutes} minutes: ${result.verdict} (tolerance ${options.tolerance} MiB a minute, first third left aside)`,
    ...result.findings.map(({ name, verdict, slope, firstMib, lastMib }) => {
      const line =
        slope === null
          ? 'too few samples'
          : `${slope.perMinute.toFixed(2)} MiB a minute, 95 % [${slope.low.toFixed(2)}, ${slope.high.toFixed(2)}], ${slope.samples} samples`;
      return `  ${name}: ${verdict}; ${line}; ${firstMib.toFixed(0)} → ${lastMib.toFixed(0)} MiB`;
    }),
    `  work done: ${JSON.stringify(result.work)}`,
  ];
}
