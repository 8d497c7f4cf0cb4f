import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { StopList } from './host/stop-list.ts';
import { readKernelUnits } from './host/processes.ts';
import { startWorkerProcess } from './host/worker-process.ts';
import type { Order, Outcome } from './load/order.ts';
import { ask, cpuMsUntilRest, targetOf, type Stage } from './measure.ts';
import type { Script } from './mock/script.ts';
import type { MockReport } from './mock/upstream.ts';
import type { RunningSystem, System } from './systems/system.ts';

export interface Cores {
  readonly system: number;
  readonly load: number;
  readonly mock: number;
}

export interface Performers {
  readonly stage: Stage;
  readonly running: ReadonlyMap<string, RunningSystem>;
  readonly leftOut: readonly { readonly name: string; readonly because: string }[];
}

export interface StageOptions {
  readonly cores: Cores;
  readonly systems: readonly System[];
  readonly scripts: readonly Script[];
  readonly nodeArgs: readonly string[];
  readonly say: (line: string) => void;
  readonly stops: StopList;
}

/** Starts the mock, the load generator and every system; one that cannot be had or does not answer is left out with the reason. */
export async function setTheStage(options: StageOptions): Promise<Performers> {
  const { cores, stops, say } = options;
  const mock = await startWorkerProcess<{ readonly kind: 'report' | 'forget' }, MockReport>({
    core: cores.mock,
    script: new URL('./mock/process.ts', import.meta.url),
    read: (value) => value as MockReport,
  });
  stops.add(() => mock.stop());
  const load = await startWorkerProcess<{ readonly order: Order }, Outcome>({
    core: cores.load,
    script: new URL('./load/process.ts', import.meta.url),
    read: (value) => value as Outcome,
  });
  stops.add(() => load.stop());
  const stage: Stage = { load, mock, units: readKernelUnits(), systemCore: cores.system };

  const running = new Map<string, RunningSystem>();
  const leftOut: { readonly name: string; readonly because: string }[] = [];
  for (const system of options.systems) {
    const folder = mkdtempSync(path.join(os.tmpdir(), `plimsoll-bench-${system.name}-`));
    stops.add(() => rmSync(folder, { recursive: true, force: true }));
    try {
      say(`starting ${system.name}`);
      await system.install?.();
      const { scripts, nodeArgs } = options;
      const started = await system.start({ core: cores.system, upstreamPort: mock.port, scripts, folder, nodeArgs });
      stops.add(() => started.stop());
      await rehearse(stage, started);
      // What a system still does after it has begun to serve is no part of any case.
      await cpuMsUntilRest(stage, started);
      running.set(system.name, started);
    } catch (error) {
      const because = error instanceof Error ? error.message : String(error);
      leftOut.push({ name: system.name, because });
      say(`left out: ${system.name}, ${because}`);
    }
  }
  return { stage, running, leftOut };
}

/** One answer and one stream of each kind: a system that gets these wrong would be measured making errors. */
async function rehearse(stage: Stage, running: RunningSystem): Promise<void> {
  const whole = await ask(stage, { kind: 'probe', target: targetOf(running, { kind: 'json', bytes: 1024 }, 'anthropic', 2048) });
  if (whole.status !== 200 || !whole.body.includes('"output_tokens":200'))
    throw new Error(`a message was answered with status ${whole.status}: ${whole.body.slice(0, 200)}`);
  const target = targetOf(running, { kind: 'stream', events: 4, paceMs: 1 }, 'anthropic', 2048);
  const streamed = await ask(stage, {
    kind: 'streams',
    target,
    eventsPerStream: 4,
    connections: 1,
    rampMs: 0,
    warmUpMs: 0,
    durationMs: 0,
  });
  if (streamed.streams !== 1 || streamed.events !== 4)
    throw new Error(`a stream of 4 events came as ${streamed.events}, failures ${JSON.stringify(streamed.failures)}`);
}
