import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createSystemClock, createSystemRandom } from '#runtime';
import { createJournal, DirectoryInUse, openUsageStore, type OpenJournal, type StorePlace } from '#storage';
import { EVERYTHING, flowRecord, totalsOf } from './flow-kit.ts';
import { startUsageFlow, type UsageFlow, type UsageFlowEvent, type UsageFlowOptions } from './usage-flow.ts';

const clock = createSystemClock();
let directory = '';
let journal: OpenJournal;
let flow: UsageFlow | null = null;
let events: UsageFlowEvent[] = [];
let made = 0;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'plimsoll-flow-'));
  journal = await openJournal();
  events = [];
  made = 0;
});
afterEach(async () => {
  await flow?.close();
  flow = null;
  await journal.close();
  await rm(directory, { recursive: true });
});

function openJournal(): Promise<OpenJournal> {
  return createJournal({
    directory: path.join(directory, 'journal'),
    clock,
    random: createSystemRandom(),
    onEvent: () => undefined,
    segmentBytes: 64 * 1024,
  });
}

const storeDirectory = (): string => path.join(directory, 'store');
const embedded = (): StorePlace => ({ kind: 'embedded', directory: storeDirectory() });

async function start(place: StorePlace, more: Partial<UsageFlowOptions> = {}): Promise<UsageFlow> {
  flow = await startUsageFlow({ journal, place, clock, onEvent: (event) => events.push(event), intervalMs: 20, ...more });
  return flow;
}

async function append(count: number): Promise<void> {
  for (let left = count; left > 0; left--) {
    expect(journal.reserve()).toBeNull();
    journal.append(flowRecord(made++));
  }
  await journal.flush();
}

const segments = async (): Promise<string[]> => (await readdir(journal.directory)).filter((name) => name.endsWith('.journal'));

test('records reach the embedded store by themselves, the journal then forgets them, and nobody waits for the store to open', async () => {
  await append(50);
  const running = await start(embedded());
  expect(running.status()).toMatchObject({ kind: 'starting', lagRecords: null });
  // Asked before the store is open: answered when it is.
  expect(await running.usage(EVERYTHING)).toMatchObject({ ok: true, value: [totalsOf(50)] });
  for (let round = 0; round < 10; round++) await append(100);
  await running.drain(AbortSignal.timeout(20_000));
  expect(await running.usage(EVERYTHING)).toMatchObject({ ok: true, value: [totalsOf(1050)] });
  expect(running.status()).toMatchObject({
    kind: 'ready',
    because: '',
    lagRecords: 0,
    lagMs: 0,
    recordsApplied: 1050,
    recordsLost: 0,
    restarts: 0,
  });
  expect(events.map(({ kind }) => kind)).toEqual(['ready']);
  // Only the newest segment is left.
  await vi.waitUntil(async () => (await segments()).length === 1, 5_000);

  await expect(startUsageFlow({ journal, place: embedded(), clock, onEvent: () => undefined })).rejects.toThrow(DirectoryInUse);
  await running.close();
  expect(running.status().kind).toBe('closed');
  expect(await running.usage(EVERYTHING)).toMatchObject({ ok: false });
  // And offline, as `plimsoll usage` reads it without a server.
  const offline = await openUsageStore({ kind: 'embedded', directory: storeDirectory() });
  expect(await offline.usage(EVERYTHING)).toMatchObject([totalsOf(1050)]);
  await offline.close();
});

test('a thread that dies is started again with a back-off, and nothing is lost or counted twice', async () => {
  // Where the engine wants its folder stands a file: the thread cannot live.
  await mkdir(storeDirectory());
  await writeFile(path.join(storeDirectory(), 'pg'), '');
  await append(20);
  const running = await start(embedded());
  await vi.waitUntil(() => running.status().restarts > 0, 10_000);
  expect(events[0]).toMatchObject({ kind: 'restarting', inMs: 1000, level: 'error' });
  expect(running.status()).toMatchObject({
    kind: 'starting',
    because: expect.stringMatching(/EEXIST|ENOTDIR/),
    lagMs: expect.any(Number),
  });
  expect(await running.usage(EVERYTHING)).toMatchObject({ ok: false });
  await rm(path.join(storeDirectory(), 'pg'));
  await vi.waitUntil(() => running.status().lagRecords === 0, 20_000);
  expect(await running.usage(EVERYTHING)).toMatchObject({ ok: true, value: [totalsOf(20)] });
});

test('while the store cannot be reached records wait, and whoever asks or drains is told so within a bound', async () => {
  await append(20);
  const running = await start({ kind: 'postgres', url: 'postgres://nobody@127.0.0.1:1/none' });
  await vi.waitUntil(() => running.status().kind === 'away', 10_000);
  expect(running.status().because).toMatch(/ECONNREFUSED/);
  expect(await running.usage(EVERYTHING)).toMatchObject({ ok: false, error: expect.stringMatching(/ECONNREFUSED/) });
  await expect(running.drain(AbortSignal.timeout(5_000))).rejects.toThrow(/stay in the journal/);
  await expect(running.drain(AbortSignal.abort(new Error('second signal')))).rejects.toThrow('second signal');
  expect(await segments()).toHaveLength(1);
});

test('a store that never answers costs a question its time bound and no more', async () => {
  const silent = await listen(() => undefined);
  const running = await start(
    { kind: 'postgres', url: `postgres://nobody@127.0.0.1:${portOf(silent)}/none` },
    { queryTimeoutMs: 50 },
  );
  expect(await running.usage(EVERYTHING)).toEqual({ ok: false, error: 'the usage store gave no answer in 50 ms' });
  silent.close();
  for (const socket of silent.sockets) socket.destroy();
});

const postgres = process.env.PLIMSOLL_TEST_POSTGRES;
const because =
  postgres === undefined ? ' (skipped: PLIMSOLL_TEST_POSTGRES names no server; scripts/with-postgres.sh starts one)' : '';
test.skipIf(postgres === undefined)(
  `a PostgreSQL that is down at the start, and goes away again and again, gets every record once${because}`,
  async () => {
    const real = new URL(postgres ?? 'postgres://none');
    let isUp = false;
    const door = await listen((socket) => {
      if (!isUp) return socket.destroy();
      const behind = connect(Number(real.port), real.hostname);
      socket.pipe(behind).pipe(socket);
      behind.on('error', () => socket.destroy());
      socket.on('close', () => behind.destroy());
    });
    const url = new URL(real);
    url.port = String(portOf(door));
    const schema = `plimsoll_flow_${process.pid}`;
    const running = await start({ kind: 'postgres', url: url.href, schema }, { batchMax: 7 });
    await append(40);
    await vi.waitUntil(() => running.status().kind === 'away', 10_000);
    for (let round = 0; round < 4; round++) {
      isUp = true;
      await append(60);
      const wanted = made - Math.floor(Math.random() * 40);
      await vi.waitUntil(() => running.status().recordsApplied >= Math.min(wanted, 60 * round), 20_000);
      isUp = false;
      for (const socket of door.sockets) socket.destroy();
    }
    isUp = true;
    await vi.waitUntil(() => running.status().kind === 'ready' && running.status().lagRecords === 0, 25_000);
    expect(await running.usage(EVERYTHING)).toMatchObject({ ok: true, value: [totalsOf(made)] });
    await running.close();
    door.close();
  },
);

async function listen(onConnection: (socket: Socket) => void): Promise<Server & { readonly sockets: Set<Socket> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(server, { sockets });
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
