// `node bench/profile.ts`: takes a CPU profile of a system under the load of one case. Read it with bench/top-functions.ts.
import { mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { casesFor, QUICK, scriptsOf } from './cases.ts';
import { pinThisProcess } from './host/pinned.ts';
import { createStopList } from './host/stop-list.ts';
import { measure } from './measure.ts';
import { setTheStage } from './stage.ts';
import { SYSTEMS } from './systems/index.ts';

const USAGE = `node bench/profile.ts [--system plimsoll] [--case sweep-64] [--seconds 10] [--cores 0,1,1]`;

const { values: options } = parseArgs({
  options: {
    system: { type: 'string', default: 'plimsoll' },
    case: { type: 'string', default: 'sweep-64' },
    seconds: { type: 'string', default: '10' },
    cores: { type: 'string', default: '0,1,1' },
  },
});
const scale = { ...QUICK, warmUpMs: 2000, durationMs: Number(options.seconds) * 1000 };
const testCase = casesFor(scale).find(({ name }) => name === options.case);
const systems = SYSTEMS.filter(({ name }) => name === options.system);
if (testCase === undefined || systems.length === 0) throw new Error(USAGE);

const folder = fileURLToPath(new URL(`./results/profile-${new Date().toISOString().replaceAll(/[:.]/g, '-')}/`, import.meta.url));
mkdirSync(folder, { recursive: true });
const [system = 0, load = 1, mock = 1] = options.cores.split(',').map(Number);
const stops = createStopList();
const say = (line: string): void => void process.stderr.write(`profile: ${line}\n`);
try {
  pinThisProcess(load);
  const nodeArgs = ['--cpu-prof', `--cpu-prof-dir=${folder}`];
  const scripts = scriptsOf(casesFor(scale));
  const performers = await setTheStage({ cores: { system, load, mock }, systems, scripts, nodeArgs, say, stops });
  const running = performers.running.get(options.system);
  if (running === undefined) throw new Error(`${options.system} did not start`);
  const metrics = await measure(performers.stage, running, testCase, scale);
  say(`under the profiler, so no figure to keep: ${JSON.stringify(metrics)}`);
} finally {
  // The profile is written when the system ends by itself, on SIGTERM.
  await stops.stopAll();
}
for (const file of readdirSync(folder)) console.log(path.relative(process.cwd(), path.join(folder, file)));
