import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { createSystemClock, createSystemRandom } from '#runtime';
import { createJournal } from '#storage';
import { EVERYTHING, totalsOf } from './flow-kit.ts';
import { startUsageFlow } from './usage-flow.ts';

const ROUNDS = 3;
const CHILD = new URL('./flow-child.ts', import.meta.url).pathname;

/** Runs the child until `killAfterMs` after its store took records, kills it, and answers what it had acknowledged last. */
async function runAndKill(directory: string, killAfterMs: number): Promise<number> {
  const child = spawn(process.execPath, [CHILD, directory], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let problems = '';
  let isTimed = false;
  child.stderr.on('data', (data) => (problems += data));
  child.stdout.on('data', (data) => {
    output += data;
    if (isTimed || !output.includes('ready ')) return;
    isTimed = true;
    setTimeout(() => child.kill('SIGKILL'), killAfterMs);
  });
  const signal = await new Promise((resolve) => child.on('close', (_code, by) => resolve(by)));
  expect(signal, problems).toBe('SIGKILL');
  const whole = output.slice(0, output.lastIndexOf('\n'));
  return Number(whole.slice(whole.lastIndexOf(' ') + 1));
}

test(`a gateway killed at ${ROUNDS} random moments has every acknowledged request in its store, each once`, async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'plimsoll-flow-'));
  try {
    let safe = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const said = await runAndKill(directory, Math.random() * 150);
      expect(said).toBeGreaterThanOrEqual(safe);
      safe = said;
    }
    const clock = createSystemClock();
    const onEvent = (): void => undefined;
    const journal = await createJournal({
      directory: path.join(directory, 'journal'),
      clock,
      random: createSystemRandom(),
      onEvent,
    });
    const place = { kind: 'embedded', directory: path.join(directory, 'store') } as const;
    const flow = await startUsageFlow({ journal, place, clock, onEvent });
    await flow.drain(AbortSignal.timeout(30_000));
    const count = Number(Atomics.load(new BigInt64Array(journal.synced), 0));
    expect(count).toBeGreaterThanOrEqual(safe);
    expect(await flow.usage(EVERYTHING)).toMatchObject({ ok: true, value: [totalsOf(count)] });
    await flow.close();
    await journal.close();
  } finally {
    await rm(directory, { recursive: true });
  }
}, 60_000);
