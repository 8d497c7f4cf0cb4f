import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { UsageRecord } from '#contracts/record';
import type { JournalEvent } from './event.ts';
import { createFaultyFiles, type FaultyFiles } from './faulty-files.ts';
import { FRAME_BYTES_MAX, FRAME_HEADER_BYTES, HEADER_BYTES, readFrame } from './format.ts';
import { createJournal, type JournalOptions, type OpenJournal } from './journal.ts';
import { idsOf, manualClock, type ManualClock, readAll, recordsOf, sampleRecord, seededRandom } from './journal-kit.ts';

const DIRECTORY = 'journal';
/** Two records of the largest size: segments are full after about ten of ordinary size. */
const SEGMENT_BYTES = HEADER_BYTES + 2 * FRAME_BYTES_MAX;

interface Opened {
  readonly journal: OpenJournal;
  readonly clock: ManualClock;
  readonly events: JournalEvent[];
}

async function open(files: FaultyFiles, more: Partial<JournalOptions> = {}): Promise<Opened> {
  const clock = manualClock();
  const events: JournalEvent[] = [];
  const journal = await createJournal({
    directory: DIRECTORY,
    clock,
    random: seededRandom(1),
    onEvent: (event) => events.push(event),
    files,
    segmentBytes: SEGMENT_BYTES,
    bytesMax: 100 * SEGMENT_BYTES,
    ...more,
  });
  return { journal, clock, events };
}

/** Lets everything that waits for nothing but the simulated disk come to its end. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 400; turn++) await Promise.resolve();
}

function record(journal: OpenJournal, number: number, more?: Partial<UsageRecord>): void {
  expect(journal.reserve()).toBeNull();
  journal.append(sampleRecord(number, more));
}

const idOf = (number: number): string => sampleRecord(number).id;
const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);
const syncedOf = (journal: OpenJournal): number => Number(Atomics.load(new BigInt64Array(journal.synced), 0));

test('a journal with a small bound has small segments, fills up to the bound, and is never larger', async () => {
  const files = createFaultyFiles();
  const bytesMax = 1024 * 1024;
  const journal = await createJournal({
    directory: DIRECTORY,
    clock: manualClock(),
    random: seededRandom(1),
    onEvent: () => {},
    files,
    bytesMax,
  });
  let taken = 0;
  while (taken < 10_000 && journal.reserve() === null) {
    journal.append(sampleRecord(taken++));
    if (taken % 10 === 0) await settle();
  }
  expect(taken).toBeGreaterThan(500);
  expect(journal.status()).toMatchObject({ kind: 'full', bytesMax });
  expect(journal.status().bytesUsed).toBeLessThanOrEqual(bytesMax);
  await journal.close();
});

test('records are on the disk after the sync interval, in one sync for all of them', async () => {
  const files = createFaultyFiles();
  const { journal, clock } = await open(files);
  record(journal, 0);
  await settle();
  await journal.flush();
  const before = files.syncs;
  for (const number of numbers(1, 6)) record(journal, number);
  clock.advance(49);
  await settle();
  expect(syncedOf(journal)).toBe(1);
  expect(journal.status().unsyncedMs).toBe(49);
  clock.advance(1);
  await settle();
  expect(syncedOf(journal)).toBe(6);
  expect(files.syncs).toBe(before + 1);
  expect(journal.status()).toMatchObject({ kind: 'ready', because: '', recordsAppended: 6, unsyncedMs: 0 });
  expect(idsOf(await readAll(journal, files))).toEqual(numbers(0, 6).map(idOf));
});

test('what is appended while a write is in flight is gathered for the next one', async () => {
  const files = createFaultyFiles();
  const { journal } = await open(files);
  record(journal, 0);
  const first = journal.flush();
  record(journal, 1);
  record(journal, 2);
  const second = journal.flush();
  await first;
  await second;
  expect(idsOf(await readAll(journal, files))).toEqual([idOf(0), idOf(1), idOf(2)]);
});

type Step =
  | { readonly kind: 'append'; readonly count: number }
  | { readonly kind: 'flush' }
  | { readonly kind: 'wait'; readonly ms: number; readonly turns: number }
  | { readonly kind: 'applied' }
  | { readonly kind: 'disk'; readonly failure: 'ENOSPC' | 'EIO' | null }
  | { readonly kind: 'end'; readonly by: 'power' | 'kill' | 'close'; readonly turns: number; readonly seed: number };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('append' as const), count: fc.integer({ min: 1, max: 25 }) }) },
    { weight: 2, arbitrary: fc.constant({ kind: 'flush' as const }) },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('wait' as const),
        ms: fc.constantFrom(10, 60, 1500),
        turns: fc.integer({ min: 0, max: 40 }),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ kind: 'applied' as const }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('disk' as const), failure: fc.constantFrom('ENOSPC', 'EIO', null) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('end' as const),
        by: fc.constantFrom('power', 'power', 'kill', 'close'),
        turns: fc.integer({ min: 0, max: 60 }),
        seed: fc.integer(),
      }),
    },
  ),
  { minLength: 4, maxLength: 24 },
);

/** Once lost a record: the sync failed, the kernel took the pages for clean, and after the kill nobody wrote them again. */
const FAILED_SYNC_THEN_KILL: Step[] = [
  { kind: 'append', count: 1 },
  { kind: 'end', by: 'close', turns: 0, seed: 0 },
  { kind: 'append', count: 1 },
  { kind: 'wait', ms: 1500, turns: 1 },
  { kind: 'disk', failure: 'EIO' },
  { kind: 'flush' },
  { kind: 'wait', ms: 10, turns: 0 },
  { kind: 'end', by: 'kill', turns: 0, seed: 0 },
];

test('after any crash the journal holds a prefix of what was appended, all of what was synced, and nothing twice', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      let files = createFaultyFiles();
      let { journal, clock, events } = await open(files);
      /** What was appended, by sequence number; numbers are given once only to what was synced. */
      let model: string[] = [];
      let applied = 0;
      let made = 0;

      const check = async (): Promise<void> => {
        const position = syncedOf(journal);
        expect(position).toBeLessThanOrEqual(model.length);
        const pieces = await readAll(journal, files, applied);
        expect(pieces.filter(({ kind }) => kind !== 'records')).toEqual([]);
        expect(idsOf(pieces)).toEqual(model.slice(applied, position));
      };

      for (const step of [...script, { kind: 'end', by: 'power', turns: 3, seed: 7 } as const]) {
        if (step.kind === 'append') {
          for (let count = 0; count < step.count && journal.reserve() === null; count++) {
            const fresh = sampleRecord(made++);
            journal.append(fresh);
            model.push(fresh.id);
          }
        } else if (step.kind === 'flush') {
          // Not awaited: it waits for a disk that fails, and is rejected when the journal is closed on one.
          journal.flush().catch(() => undefined);
          await settle();
        } else if (step.kind === 'wait') {
          clock.advance(step.ms);
          for (let turn = 0; turn < step.turns; turn++) await Promise.resolve();
        } else if (step.kind === 'applied') {
          await check();
          applied = syncedOf(journal);
          journal.applied(applied);
        } else if (step.kind === 'disk') {
          files.failWith(step.failure);
        } else {
          for (let turn = 0; turn < step.turns; turn++) await Promise.resolve();
          const safe = syncedOf(journal);
          if (step.by === 'close') {
            files.failWith(null);
            await journal.close();
            expect(syncedOf(journal)).toBe(model.length);
            files = files.kill();
          } else {
            files = step.by === 'kill' ? files.kill() : files.powerCut(seededRandom(step.seed).next);
          }
          ({ journal, clock, events } = await open(files));
          expect(syncedOf(journal)).toBeGreaterThanOrEqual(step.by === 'close' ? model.length : safe);
          expect(events.filter(({ kind }) => kind !== 'torn_tail')).toEqual([]);
          model = model.slice(0, syncedOf(journal));
          await check();
        }
      }
    }),
    { numRuns: 150, examples: [[FAILED_SYNC_THEN_KILL]] },
  );
});

/** A journal of `count` records, each synced before the next unless `together`, closed as a kill leaves it. */
async function written(
  count: number,
  together: boolean,
): Promise<{ files: FaultyFiles; segment: string; starts: number[]; end: number }> {
  const files = createFaultyFiles();
  const { journal } = await open(files);
  for (const number of numbers(0, count)) {
    record(journal, number);
    if (!together) await journal.flush();
  }
  await journal.flush();
  const segment = `${DIRECTORY}/usage-0000000000000000.journal`;
  const bytes = files.bytesOf(segment);
  const starts: number[] = [];
  let at = HEADER_BYTES;
  for (let frame = readFrame(bytes, at, null); frame.kind === 'frame'; frame = readFrame(bytes, at, null)) {
    starts.push(at);
    at = frame.end;
  }
  expect(starts).toHaveLength(count);
  return { files: files.kill(), segment, starts, end: at };
}

test('a tail torn at any byte of the last frame is cut off with a log line, and the journal goes on after it', async () => {
  const made = await written(3, false);
  const last = made.starts[2]!;
  for (let cut = last; cut < made.end; cut++) {
    const files = made.files.kill();
    files.bytesOf(made.segment).fill(0, cut, made.end);
    const { journal, events } = await open(files);
    // The last byte of a frame's first bytes may itself be zero: then there is nothing left to cut.
    const left = files
      .bytesOf(made.segment)
      .subarray(last, cut)
      .some((byte) => byte !== 0);
    expect(left).toBe(false);
    expect(events.map(({ kind }) => kind)).toEqual(cut === last ? [] : ['torn_tail']);
    record(journal, 9);
    await journal.flush();
    expect(idsOf(await readAll(journal, files))).toEqual([idOf(0), idOf(1), idOf(9)]);
    await journal.close();
  }
});

test('any changed byte of the last frame costs that record at most, never another', async () => {
  const made = await written(3, false);
  for (let at = made.starts[2]!; at < made.end; at++) {
    const files = made.files.kill();
    const bytes = files.bytesOf(made.segment);
    bytes[at] = bytes[at]! ^ 0x41;
    const { journal, events } = await open(files);
    expect(events.map(({ kind }) => kind)).toEqual(['torn_tail']);
    expect(idsOf(await readAll(journal, files))).toEqual([idOf(0), idOf(1)]);
    await journal.close();
  }
});

test('any changed byte of a frame that was safe is reported with a count, kept aside, and stops nothing', async () => {
  const made = await written(4, false);
  for (let at = made.starts[1]!; at < made.starts[2]!; at++) {
    const files = made.files.kill();
    const bytes = files.bytesOf(made.segment);
    bytes[at] = bytes[at]! ^ 0x41;
    const { journal, events } = await open(files);
    expect(events).toMatchObject([{ kind: 'damaged', level: 'error', recordsLostMax: 3 }]);
    record(journal, 9);
    await journal.flush();
    const pieces = await readAll(journal, files);
    expect(pieces.map(({ kind }) => kind)).toEqual(['records', 'lost', 'records']);
    expect(pieces[1]).toEqual({ kind: 'lost', from: 1, to: 4, segment: 0 });
    expect(idsOf(pieces)).toEqual([idOf(0), idOf(9)]);

    journal.applied(5, new Set([0]));
    await settle();
    expect(await files.list(DIRECTORY)).toContain('usage-0000000000000000.journal.damaged');
    expect(events.at(-1)).toMatchObject({ kind: 'set_aside' });
    await journal.close();
  }
});

test('frames of one unsynced batch that reached the disk out of order are a torn tail, not damage', async () => {
  const made = await written(4, true);
  const files = made.files.kill();
  files.bytesOf(made.segment).fill(0, made.starts[1], made.starts[2]);
  const { journal, events } = await open(files);
  expect(events).toMatchObject([{ kind: 'torn_tail' }]);
  expect(idsOf(await readAll(journal, files))).toEqual([idOf(0)]);
  await journal.close();
});

test('a segment whose header is damaged is passed over with a count, and no number is used again', async () => {
  const made = await written(4, false);
  const files = made.files.kill();
  files.bytesOf(made.segment).fill(0xff, 0, HEADER_BYTES);
  const { journal, events } = await open(files);
  expect(events).toMatchObject([{ kind: 'damaged' }]);
  record(journal, 9);
  await journal.flush();
  const pieces = await readAll(journal, files);
  expect(pieces).toMatchObject([{ kind: 'lost', from: 0, segment: 0 }, { kind: 'records' }]);
  expect(syncedOf(journal)).toBeGreaterThan(4);
  expect(idsOf(pieces)).toEqual([idOf(9)]);
});

test('a journal of a newer format stops the start with a clear message, and is not touched', async () => {
  const made = await written(1, false);
  const bytes = made.files.bytesOf(made.segment);
  bytes.writeUInt32LE(2, 8);
  const before = Buffer.from(bytes);
  await expect(open(made.files)).rejects.toThrow(/format version 2/);
  expect(made.files.bytesOf(made.segment).equals(before)).toBe(true);
});

test('the bound is never passed: reserve answers full, and again yes when the store has taken what was there', async () => {
  const files = createFaultyFiles();
  const { journal } = await open(files, { bytesMax: 4 * SEGMENT_BYTES });
  let count = 0;
  for (;;) {
    await settle();
    if (journal.reserve() !== null) break;
    journal.append(sampleRecord(count++));
    await journal.flush();
    const sizes = await Promise.all((await files.list(DIRECTORY)).map((name) => files.size(`${DIRECTORY}/${name}`)));
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(4 * SEGMENT_BYTES);
  }
  expect(count).toBeGreaterThan(20);
  expect(journal.status()).toMatchObject({ kind: 'full', bytesUsed: 4 * SEGMENT_BYTES });
  expect(journal.reserve()).toBe('full');
  expect(idsOf(await readAll(journal, files))).toEqual(numbers(0, count).map(idOf));

  journal.applied(count);
  await settle();
  expect(journal.reserve()).toBeNull();
  journal.append(sampleRecord(count));
  await journal.flush();
  expect(idsOf(await readAll(journal, files, count))).toEqual([idOf(count)]);
});

test('a segment is never removed while one of its records is not applied', async () => {
  const files = createFaultyFiles();
  const { journal } = await open(files);
  for (const number of numbers(0, 40)) {
    record(journal, number);
    await journal.flush();
    await settle();
  }
  const segments = async (): Promise<string[]> =>
    (await files.list(DIRECTORY)).filter((name) => name.endsWith('.journal')).toSorted();
  const before = await segments();
  const second = Number(before[1]!.slice('usage-'.length, -'.journal'.length));
  journal.applied(second - 1);
  await settle();
  expect(await segments()).toEqual(before);
  journal.applied(second);
  await settle();
  expect(await segments()).toEqual(before.slice(1));
});

test('a full disk refuses new requests before they are served, and recovers by itself when space returns', async () => {
  const files = createFaultyFiles();
  files.setCapacity(3 * SEGMENT_BYTES);
  const { journal, clock, events } = await open(files);
  let admitted = 0;
  while (journal.reserve() === null) {
    journal.append(sampleRecord(admitted++));
    await journal.flush();
    await settle();
  }
  expect(journal.status()).toMatchObject({ kind: 'failed', because: expect.stringContaining('ENOSPC') });
  expect(events).toMatchObject([{ kind: 'failed', level: 'error' }]);
  // Everyone who was let in is on the disk, though it is full.
  expect(idsOf(await readAll(journal, files))).toEqual(numbers(0, admitted).map(idOf));

  files.setCapacity(10 * SEGMENT_BYTES);
  clock.advance(1000);
  await settle();
  expect(journal.status().kind).toBe('ready');
  expect(events.at(-1)).toMatchObject({ kind: 'recovered' });
  record(journal, admitted);
  await journal.flush();
  expect(syncedOf(journal)).toBe(admitted + 1);
});

test('a disk that fails keeps what was admitted in memory and writes it when it works again', async () => {
  const files = createFaultyFiles();
  const { journal, clock, events } = await open(files);
  expect(journal.reserve()).toBeNull();
  files.failWith('EIO');
  record(journal, 0);
  clock.advance(50);
  await settle();
  expect(journal.reserve()).toBe('failed');
  expect(journal.status()).toMatchObject({ kind: 'failed', because: expect.stringContaining('EIO') });
  // A reservation made before the failure still holds.
  journal.append(sampleRecord(1));
  clock.advance(1000);
  await settle();
  expect(journal.reserve()).toBe('failed');

  files.failWith(null);
  clock.advance(1000);
  await settle();
  expect(events.slice(0, -1).every(({ kind }) => kind === 'failed')).toBe(true);
  expect(events.at(-1)).toMatchObject({ kind: 'recovered' });
  expect(journal.reserve()).toBeNull();
  expect(idsOf(await readAll(journal, files))).toEqual([idOf(0), idOf(1)]);
  // The sync that failed had made the kernel forget: what is there now must survive a power cut.
  const after = await open(files.powerCut(() => 0));
  expect(syncedOf(after.journal)).toBe(2);
});

/** A journal with `safe` records on the disk and `unsafe` more that are written and not synced, because syncs fail. */
async function withUnsynced(files: FaultyFiles, safe: number, unsafe: number): Promise<Opened> {
  const opened = await open(files);
  for (const number of numbers(0, safe)) record(opened.journal, number);
  await opened.journal.flush();
  files.failWith('ENOSPC', 'syncs');
  for (const number of numbers(safe, safe + unsafe)) record(opened.journal, number);
  await settle();
  opened.clock.advance(50);
  await settle();
  expect(syncedOf(opened.journal)).toBe(safe);
  return opened;
}

test('what is written and not synced is not read by those who follow the files', async () => {
  const files = createFaultyFiles();
  const { journal } = await withUnsynced(files, 3, 3);
  expect(files.bytesOf(`${DIRECTORY}/usage-0000000000000000.journal`).toString()).toContain(idOf(5));
  expect(idsOf(await readAll(journal, files))).toEqual(numbers(0, 3).map(idOf));
});

test('a sync that failed is repeated with its writes, and nothing of them is lost', async () => {
  const files = createFaultyFiles();
  const { journal, clock } = await withUnsynced(files, 3, 3);
  files.failWith(null);
  clock.advance(1000);
  await settle();
  expect(syncedOf(journal)).toBe(6);
  const after = await open(files.powerCut(() => 0));
  expect(syncedOf(after.journal)).toBe(6);
});

test('what a killed process had written without a sync is made safe before it counts', async () => {
  const files = createFaultyFiles();
  await withUnsynced(files, 3, 3);
  const killed = files.kill();
  expect(syncedOf((await open(killed)).journal)).toBe(6);
  expect(syncedOf((await open(killed.powerCut(() => 0))).journal)).toBe(6);
});

test('closing on a disk that fails says how many records were lost, and does not wait for ever', async () => {
  const files = createFaultyFiles();
  const { journal, events } = await open(files);
  record(journal, 0);
  record(journal, 1);
  files.failWith('EIO');
  const flushed = journal.flush();
  flushed.catch(() => undefined);
  await journal.close();
  expect(events.at(-1)).toMatchObject({ kind: 'lost', records: 2 });
  await expect(flushed).rejects.toThrow(/2 records/);
});

test('as many reservations are given as records of the largest size have room, and each of them holds', async () => {
  const files = createFaultyFiles();
  const { journal } = await open(files);
  let reserved = 0;
  while (journal.reserve() === null) reserved++;
  expect(reserved).toBe(4); // two spares of two
  const huge = sampleRecord(0, { conversation: 'x'.repeat(7000) });
  for (let count = 0; count < reserved; count++) journal.append({ ...huge, id: idOf(count) });
  await journal.flush();
  expect(idsOf(await readAll(journal, files))).toEqual(numbers(0, reserved).map(idOf));
});

test('a reservation that is given back can be made again', async () => {
  const files = createFaultyFiles();
  const { journal } = await open(files);
  while (journal.reserve() === null);
  journal.release();
  expect(journal.reserve()).toBeNull();
});

test('a record that is larger than its reservation is shortened and marked, never lost', async () => {
  const files = createFaultyFiles();
  const { journal } = await open(files);
  const attempt = sampleRecord(0).attempts[0]!;
  const attempts = Array.from({ length: 200 }, (_, index) => ({ ...attempt, replica: `replica-${index}` }));
  record(journal, 0, { attempts, model: 'é'.repeat(5000) });
  await journal.flush();
  const kept = recordsOf(await readAll(journal, files))[0]!;
  expect(Buffer.byteLength(JSON.stringify(kept))).toBeLessThanOrEqual(FRAME_BYTES_MAX - FRAME_HEADER_BYTES);
  expect(kept).toMatchObject({ id: idOf(0), tokens: sampleRecord(0).tokens, shortened: { attempts: 196 } });
  expect(kept.attempts.map(({ replica }) => replica)).toEqual(['replica-0', 'replica-1', 'replica-198', 'replica-199']);
});
