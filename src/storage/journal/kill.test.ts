import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { createDiskFiles } from './files.ts';
import { createJournal, type OpenJournal } from './journal.ts';
import { idsOf, readAll, realClock, sampleRecord, seededRandom } from './journal-kit.ts';

const ROUNDS = 20;
const CHILD = new URL('./kill-child.ts', import.meta.url).pathname;

/** Runs the child until `killAfterMs` after its first acknowledgement, kills it, and answers what it had acknowledged last. */
async function runAndKill(directory: string, first: number, round: number, killAfterMs: number): Promise<number> {
  const child = spawn(process.execPath, [CHILD, directory, String(first), String(round)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let problems = '';
  child.stderr.on('data', (data) => (problems += data));
  child.stdout.on('data', (data) => {
    if (output === '') setTimeout(() => child.kill('SIGKILL'), killAfterMs);
    output += data;
  });
  const signal = await new Promise((resolve) => child.on('close', (_code, by) => resolve(by)));
  expect(signal, problems).toBe('SIGKILL');
  // The kill may cut the last line short: only whole lines count as said.
  const whole = output.slice(0, output.lastIndexOf('\n'));
  return Number(whole.slice(whole.lastIndexOf(' ') + 1));
}

function reopen(directory: string): Promise<OpenJournal> {
  return createJournal({
    directory,
    clock: realClock(),
    random: seededRandom(1),
    onEvent: () => undefined,
    segmentBytes: 256 * 1024,
  });
}

test(`a process killed under load at ${ROUNDS} random moments loses nothing it had acknowledged, and records nothing twice`, async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'plimsoll-kill-'));
  try {
    let position = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const safe = await runAndKill(directory, position, round, Math.random() * 60);
      const journal = await reopen(directory);
      const pieces = await readAll(journal, createDiskFiles(), position);
      expect(pieces.filter(({ kind }) => kind !== 'records')).toEqual([]);
      const ids = idsOf(pieces);
      // The records are numbered by the child as the journal numbers them: each once, in order, with no gap.
      expect(ids).toEqual(ids.map((_, index) => sampleRecord(position + index).id));
      expect(position + ids.length).toBeGreaterThanOrEqual(safe);
      position += ids.length;
      journal.applied(position);
      await journal.close();
    }
    expect(position).toBeGreaterThan(ROUNDS);
  } finally {
    await rm(directory, { recursive: true });
  }
}, 60_000);
