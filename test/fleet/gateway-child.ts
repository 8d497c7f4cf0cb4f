import { appendFileSync } from 'node:fs';
import { createSystemRandom } from '#runtime';
import { createFleetLimits, openRedisLimits } from '#storage';
import { realClock as clock } from '../../src/storage/limits/limits-kit.fixture.ts';
import type { FleetEvent } from './history-checker.ts';
import { groupsOf, type Load } from './kit/load.ts';

/**
 * One gateway's limits in a process of its own, under load from inside: what a test of a fleet starts several of. It writes
 * what it sees to a file, each event as it happens, so that a killed one has still told everything.
 */
const { url, file, name, load, limits } = JSON.parse(process.argv[2] ?? '') as {
  readonly url: string;
  readonly file: string;
  readonly name: string;
  readonly load: Load;
  readonly limits: { readonly leaseMs: number; readonly placesLeaseMs: number; readonly budgetMs: number };
};
const random = createSystemRandom();
const opened = await openRedisLimits({ url, clock, random });
if (!opened.ok) throw new Error(opened.error.message);
const store = createFleetLimits({ shared: opened.value, clock, random, ...limits });
const tell = (event: FleetEvent): void => appendFileSync(file, `${JSON.stringify(event)}\n`);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

let [isEnding, isPaused, number] = [false, false, 0];
process.on('message', (message) => {
  if (message === 'end') isEnding = true;
  else if (message === 'pause') isPaused = true;
  else if (message === 'go') isPaused = false;
  else if (message === 'status') process.send?.({ status: { ...store.status(), wouldHaveRefused: null } });
});
process.on('disconnect', () => process.exit());
process.send?.('ready');

async function one(): Promise<void> {
  const subject = load.subjects[number % load.subjects.length] as string;
  const id = `${name}-${(number += 1)}`;
  const groups = groupsOf(load, subject);
  const fromUs = clock.nowUs();
  const answer = await store.take({ id, groups, costs: Float64Array.from(load.costs) });
  const span = { gateway: name, id, subject, fromUs, toUs: clock.nowUs() };
  if (answer.refusedBy !== -1) {
    tell({ kind: 'refused', ...span, meter: answer.refusedBy, waitUs: Math.min(answer.waitUs, 1e15), by: answer.by });
    await pause(load.pauseMs);
    return;
  }
  tell({ kind: 'granted', ...span, units: load.costs, by: answer.by });
  for (const [at, units] of load.settles.entries()) {
    await pause(load.holdMs);
    const settledAtUs = clock.nowUs();
    const isLast = at === load.settles.length - 1;
    // What is given back may reach the store a little later; what is charged counts from now.
    const event = { gateway: name, id, subject, fromUs: settledAtUs };
    if (isLast) tell({ kind: 'released', ...event, toUs: settledAtUs });
    if (units.some((count) => count !== 0))
      tell({ kind: 'settled', ...event, units, toUs: settledAtUs + (units.some((count) => count < 0) ? 1_000_000 : 0) });
    await store.settle({ id, groups, step: at + 1, deltas: Float64Array.from(units), isLast });
  }
  await pause(load.pauseMs);
}

async function worker(): Promise<void> {
  while (!isEnding) {
    if (isPaused) await pause(2);
    else await one();
  }
}

await Promise.all(Array.from({ length: load.workers }, worker));
await store.close();
process.send?.({ status: { ...store.status(), wouldHaveRefused: null } }, () => process.disconnect());
