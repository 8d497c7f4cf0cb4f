// `npm run bench:limits`: what limits cost, beside a peer. docs/limits-numbers.md says how to read what it prints.
import { parseArgs } from 'node:util';
import { describeMachine } from '../host/machine.ts';
import { createStopList } from '../host/stop-list.ts';
import { replayAzure } from './azure-replay.ts';
import { measureInProcess } from './in-process.ts';
import { measureRedis } from './redis.ts';
import type { Part, PartOptions } from './part.ts';
import { measurePath } from './path.ts';

const PARTS: Readonly<Record<string, (options: PartOptions) => Promise<Part>>> = {
  'in-process': measureInProcess,
  redis: measureRedis,
  path: measurePath,
  'azure-replay': replayAzure,
};

const USAGE = `npm run bench:limits -- [options]
  --only a,b      parts (${Object.keys(PARTS).join(', ')})
  --rounds n      interleaved rounds (default 3)
  --seconds n     of each measurement (default 3)
  --core n        core of what is measured (default 0)`;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    core: { type: 'string', default: '0' },
    help: { type: 'boolean', default: false },
  },
});
if (options.help) console.log(USAGE);
else await main();

async function main(): Promise<void> {
  const chosen = options.only?.split(',') ?? Object.keys(PARTS);
  const [rounds, seconds, core] = [Number(options.rounds), Number(options.seconds), Number(options.core)];
  if (chosen.some((name) => PARTS[name] === undefined) || !(rounds >= 1) || !(seconds > 0) || !(core >= 0))
    throw new Error(USAGE);
  const say = (line: string): void => void process.stderr.write(`bench: ${line}\n`);
  const { date, commit, cpu, cores, memoryGib, kernel, node } = describeMachine(new Date());
  console.log(`${date}  npm run bench:limits -- ${process.argv.slice(2).join(' ')}  commit ${commit}`);
  console.log(`${cpu}, ${cores} cores, ${memoryGib} GiB, Linux ${kernel}, Node ${node}`);
  console.log(`${rounds} interleaved rounds: medians [least–most]`);
  const stops = createStopList();
  try {
    for (const name of chosen) {
      const part = await PARTS[name]?.({ rounds, seconds, core, say, stops });
      if (part) console.log(['', part.title, ...part.lines].join('\n'));
    }
  } finally {
    await stops.stopAll();
  }
}
