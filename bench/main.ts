// `npm run bench`: Plimsoll beside its peers, in one run, on one machine. docs/performance.md says how to read what it prints.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { casesFor, FULL, QUICK, scriptsOf, type Case, type Scale } from './cases.ts';
import { describeMachine } from './host/machine.ts';
import { pinThisProcess } from './host/pinned.ts';
import { readFootprint } from './host/processes.ts';
import { createStopList } from './host/stop-list.ts';
import { measure, targetOf, type Metrics } from './measure.ts';
import { formatReport, type Memory, type RunReport } from './report/report.ts';
import { setTheStage, type Cores, type Performers } from './stage.ts';
import { median } from './stats/order-statistics.ts';
import { metricOf } from './stats/summary.ts';
import { SYSTEMS } from './systems/index.ts';
import { runWrk } from './wrk.ts';

const USAGE = `npm run bench -- [options]
  --quick              short rounds: to see that things work, never for a figure to publish
  --only a,b           cases whose names start so (${casesFor(QUICK)
    .map(({ name }) => name)
    .join(', ')})
  --peers a,b          systems (${SYSTEMS.map(({ name }) => name).join(', ')})
  --rounds n           interleaved rounds (default ${FULL.rounds}, quick ${QUICK.rounds})
  --cores s,l,m        cores of the system, the load generator and the mock upstream (default 0,1,1)
  --wrk                let wrk, where installed, cross-check the load generator
  --json               print the report as JSON instead of the table`;

const RESULTS = fileURLToPath(new URL('./results/', import.meta.url));
const COOL_DOWN_MS = 3000;

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    peers: { type: 'string' },
    rounds: { type: 'string' },
    cores: { type: 'string', default: '0,1,1' },
    wrk: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (options.help) console.log(USAGE);
else await main();

async function main(): Promise<void> {
  const scale = {
    ...(options.quick ? QUICK : FULL),
    ...(options.rounds === undefined ? {} : { rounds: Number(options.rounds) }),
  };
  const cases = casesFor(scale).filter(({ name }) => isChosen(options.only, (chosen) => name.startsWith(chosen)));
  const systems = SYSTEMS.filter(({ name }) => isChosen(options.peers, (chosen) => name === chosen));
  if (cases.length === 0 || systems.length === 0 || !(scale.rounds >= 1)) throw new Error(`nothing to run\n${USAGE}`);
  const cores = readCores(options.cores);
  const say = (line: string): void => void process.stderr.write(`bench: ${line}\n`);
  const stops = createStopList();
  try {
    pinThisProcess(cores.load);
    const machine = describeMachine(new Date());
    const scripts = scriptsOf(casesFor(scale));
    const performers = await setTheStage({ cores, systems, scripts, nodeArgs: [], say, stops });
    const memory = createMemoryWatch(performers);
    const measured: { readonly testCase: Case; readonly rounds: Record<string, Metrics[]> }[] = [];
    for (const testCase of cases) {
      say(`${testCase.name}: ${testCase.title}`);
      measured.push({ testCase, rounds: await runRounds(performers, testCase, scale, memory.look) });
    }
    const crossCheck = options.wrk ? await runCrossCheck(performers, scale, cores) : [];
    const report: RunReport = {
      machine,
      command: `bench ${process.argv.slice(2).join(' ')}`.trim(),
      rounds: scale.rounds,
      systems: systems.flatMap(({ name, about }) => {
        const version = performers.running.get(name)?.version;
        return version === undefined ? [] : [{ name, about, version }];
      }),
      leftOut: performers.leftOut,
      cases: measured,
      memory: await memory.finish(),
      crossCheck,
    };
    mkdirSync(RESULTS, { recursive: true });
    const file = path.join(RESULTS, `${machine.date.replaceAll(/[:.]/g, '-')}.json`);
    writeFileSync(file, `${JSON.stringify(report, null, 1)}\n`);
    process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : formatReport(report));
    say(`written to ${path.relative(process.cwd(), file)}`);
  } finally {
    await stops.stopAll();
  }
}

function isChosen(list: string | undefined, matches: (chosen: string) => boolean): boolean {
  return list === undefined || list.split(',').some(matches);
}

function readCores(text: string): Cores {
  const [system = 0, load = 1, mock = 1] = text.split(',').map(Number);
  if (![system, load, mock].every((core) => Number.isInteger(core) && core < os.cpus().length))
    throw new Error(`--cores ${text}: this machine has cores 0 to ${os.cpus().length - 1}`);
  return { system, load, mock };
}

/** A B C A B C: systems take turns, so that the drift of the machine falls on all of them alike. */
async function runRounds(
  performers: Performers,
  testCase: Case,
  scale: Scale,
  look: (system: string) => void,
): Promise<Record<string, Metrics[]>> {
  const rounds: Record<string, Metrics[]> = {};
  for (let round = 0; round < scale.rounds; round += 1)
    for (const [name, running] of performers.running) {
      const stopLooking = startLooking(() => look(name));
      try {
        (rounds[name] ??= []).push(await measure(performers.stage, running, testCase, scale));
      } finally {
        stopLooking();
      }
    }
  return rounds;
}

function startLooking(look: () => void): () => void {
  const timer = setInterval(look, 500);
  return () => {
    clearInterval(timer);
    look();
  };
}

interface MemoryWatch {
  readonly look: (system: string) => void;
  finish(): Promise<Readonly<Record<string, Memory>>>;
}

function createMemoryWatch({ running, stage }: Performers): MemoryWatch {
  const rssOf = (pid: number): number => readFootprint(pid, stage.units).rssBytes;
  const pids = new Map([...running].flatMap(([name, { pid }]) => (pid === null ? [] : [[name, pid] as const])));
  const before = new Map([...pids].map(([name, pid]) => [name, rssOf(pid)]));
  const highest = new Map(before);
  return {
    look(name) {
      const pid = pids.get(name);
      if (pid !== undefined) highest.set(name, Math.max(highest.get(name) ?? 0, rssOf(pid)));
    },
    async finish() {
      await new Promise((resolve) => setTimeout(resolve, COOL_DOWN_MS));
      return Object.fromEntries(
        [...pids].map(([name, pid]) => [
          name,
          { beforeBytes: before.get(name) ?? Number.NaN, highestBytes: highest.get(name) ?? Number.NaN, afterBytes: rssOf(pid) },
        ]),
      );
    },
  };
}

async function runCrossCheck(performers: Performers, scale: Scale, cores: Cores): Promise<RunReport['crossCheck']> {
  const sweep = casesFor(scale).find(({ name }) => name === 'sweep-64');
  const checked: { readonly system: string; readonly requestsPerSecond: number; readonly wrkPerSecond: number }[] = [];
  const folder = mkdtempSync(path.join(os.tmpdir(), 'plimsoll-bench-wrk-'));
  try {
    for (const [system, running] of performers.running) {
      if (sweep === undefined) break;
      const target = targetOf(running, sweep.script, sweep.dialect, sweep.bodyBytes);
      const ours: Metrics[] = [];
      const theirs: number[] = [];
      for (let round = 0; round < scale.rounds; round += 1) {
        ours.push(await measure(performers.stage, running, sweep, scale));
        const seconds = Math.ceil(scale.durationMs / 1000);
        const rate = await runWrk({ target, connections: 64, seconds, core: cores.load, folder });
        if (rate === null) return [];
        theirs.push(rate);
      }
      const requestsPerSecond = median(metricOf({ [system]: ours }, system, 'requestsPerSecond'));
      checked.push({ system, requestsPerSecond, wrkPerSecond: median(theirs) });
    }
    return checked;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
