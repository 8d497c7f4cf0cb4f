import { mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { createSystemClock, createSystemRandom } from '#runtime';
import { createJournal, openUsageStore, type OpenJournal, type UsageStore } from '#storage';
import { createFlow, type Flow } from './flow.ts';
import { flowRecord } from './flow-kit.ts';
import type { FlowThreadData, FromFlowThread } from './flow-messages.ts';

const clock = createSystemClock();
let root = '';
let store: UsageStore;
let journal: OpenJournal;
let told: FromFlowThread[] = [];

// The flow itself, without its thread, on one store for all: each test has a journal of its own.
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'plimsoll-flow-'));
  store = await openUsageStore({ kind: 'embedded', directory: path.join(root, 'store') });
});
afterAll(async () => {
  await store.close();
  await rm(root, { recursive: true });
});
beforeEach(async () => {
  told = [];
  journal = await openJournal(path.join(root, createSystemRandom().hex(4)));
});
afterEach(() => journal.close());

function openJournal(directory: string): Promise<OpenJournal> {
  return createJournal({ directory, clock, random: createSystemRandom(), onEvent: () => undefined, segmentBytes: 64 * 1024 });
}

async function append(from: number, to: number): Promise<void> {
  for (let number = from; number < to; number++) {
    expect(journal.reserve()).toBeNull();
    journal.append({ ...flowRecord(number), organization: journal.id });
    if (number % 50 === 0) await journal.flush();
  }
  await journal.flush();
}

function flowOf(batchMax = 100): Flow {
  const place = { kind: 'embedded', directory: '' } as const;
  const data: FlowThreadData = {
    directory: journal.directory,
    journal: journal.id,
    synced: journal.synced,
    place,
    intervalMs: 1,
    batchMax,
    retentionMs: 1,
  };
  return createFlow({ data, store, clock, tell: (message) => told.push(message) });
}

async function run(flow: Flow): Promise<string> {
  for (;;) {
    const outcome = await flow.step();
    if (outcome !== 'more') return outcome;
  }
}

async function requests(): Promise<number> {
  const rows = await store.usage({ organization: journal.id, fromMs: 0, toMs: Date.UTC(2027, 0, 1), groupBy: [] });
  return rows[0]?.requests ?? 0;
}

test('batches are applied one at a time until nothing is left, and again when there is more', async () => {
  await append(0, 250);
  const flow = flowOf();
  expect(await flow.step()).toBe('more');
  expect(await requests()).toBe(100);
  expect(await run(flow)).toBe('caught_up');
  await append(250, 260);
  expect(await run(flow)).toBe('caught_up');
  expect(await requests()).toBe(260);
  expect(flow.progress()).toMatchObject({ kind: 'ready', position: 260, recordsApplied: 260 });
  await flow.persist();
  expect(told).toEqual([{ kind: 'applied', position: 260, damaged: [] }]);
  await flow.close();
});

test('damage in the middle of a journal costs the rest of its segment, is counted, and the file is kept', async () => {
  await append(0, 300);
  await journal.close();
  const names = (await readdir(journal.directory)).filter((name) => name.endsWith('.journal')).toSorted();
  const [first = '', second = ''] = names;
  const nextStart = Number(/\d+/.exec(second)?.[0]);
  const file = await open(path.join(journal.directory, first), 'r+');
  await file.write(Buffer.from('!'), 0, 1, 30_000);
  await file.close();

  journal = await openJournal(journal.directory);
  const flow = flowOf();
  expect(await run(flow)).toBe('caught_up');
  const [lost] = told;
  expect(lost).toMatchObject({ kind: 'lost', to: nextStart });
  const gone = lost?.kind === 'lost' ? lost.to - lost.from : 0;
  expect(gone).toBeGreaterThan(1);
  expect(await requests()).toBe(300 - gone);
  await flow.persist();
  expect(told.at(-1)).toEqual({ kind: 'applied', position: 300, damaged: [0] });
  journal.applied(300, new Set([0]));
  await vi.waitUntil(async () => (await readdir(journal.directory)).includes(`${first}.damaged`), 5_000);
  await flow.close();
});

test('a copied journal that another process applies stops the flow, loudly, before anything is taken for the other', async () => {
  await append(0, 50);
  const flow = flowOf(10);
  await flow.step();
  // The other one moves the position of the same id.
  const lines = Buffer.from(`${JSON.stringify({ ...flowRecord(0), organization: 'the other' })}\n`);
  expect(await store.apply({ journal: journal.id, from: 10, to: 11, count: 1, lines })).toBe('applied');
  expect(await flow.step()).toBe('stopped');
  expect(flow.progress()).toMatchObject({ kind: 'blocked', because: expect.stringContaining('was copied') });
  expect(await flow.step()).toBe('stopped');
  expect(await requests()).toBe(10);
  await flow.close();
});

test('an older copy of a journal that is put back stops the flow, loudly', async () => {
  await append(0, 5);
  const lines = new Uint8Array();
  await store.apply({ journal: journal.id, from: 0, to: 9, count: 0, lines });
  const flow = flowOf();
  expect(await flow.step()).toBe('stopped');
  expect(flow.progress()).toMatchObject({ kind: 'blocked', because: expect.stringContaining('older copy') });
  await flow.close();
});

test('a record of a version that is not known waits for a Plimsoll that knows it', async () => {
  await append(0, 3);
  expect(journal.reserve()).toBeNull();
  journal.append({ ...flowRecord(3), version: 2 as 1 });
  await journal.flush();
  const flow = flowOf();
  expect(await flow.step()).toBe('stopped');
  expect(flow.progress()).toMatchObject({ kind: 'blocked', position: 0, because: expect.stringContaining('version 2') });
  await flow.close();
});
