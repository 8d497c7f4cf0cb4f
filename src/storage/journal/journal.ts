import path from 'node:path';
import { invariant } from '#core/kernel';
import { fitRecord } from '#core/usage';
import type { Clock, Random, Timer } from '#contracts/clock';
import type { UsageRecord } from '#contracts/record';
import { lockDirectory } from '../lock-directory.ts';
import type { Journal, JournalRefusal, JournalStatus } from '../ports.ts';
import { describeFailure, type JournalEvent } from './event.ts';
import { createDiskFiles, type JournalFile, type JournalFiles } from './files.ts';
import { encodeHeader, FRAME_BYTES_MAX, HEADER_BYTES, PAYLOAD_BYTES_MAX, segmentName, writeFrame } from './format.ts';
import { type ClosedSegment, recover, SEGMENT_BYTES_MIN } from './recover.ts';
import { createSpares } from './spares.ts';

export interface JournalOptions {
  readonly directory: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly onEvent: (event: JournalEvent) => void;
  readonly files?: JournalFiles;
  /** Records wait at most this long, plus the write itself, before they are on the disk. */
  readonly syncIntervalMs?: number;
  /** Absent: 16 MiB, or an eighth of the bound where that is less. */
  readonly segmentBytes?: number;
  /** All files together; the journal never grows beyond it. At least three segments. */
  readonly bytesMax?: number;
  /** How long after a failure the disk is tried again. */
  readonly retryMs?: number;
}

/** The journal of this process, and what the flow to the store needs to know of it. */
export interface OpenJournal extends Journal {
  readonly directory: string;
  readonly id: string;
  /**
   * One BigInt64: one past the last record that is on the disk. Shared, so that a thread that tails the files reads nothing that
   * a power cut could take back: its number would be used again for another record.
   */
  readonly synced: SharedArrayBuffer;
  /** Removes the closed segments of which every record before `position` is applied; damaged ones are renamed and kept. */
  applied(position: number, damaged?: ReadonlySet<number>): void;
}

const MEBIBYTE = 1024 * 1024;
const CHUNK_BYTES = 256 * 1024;
const IDLE_CHUNKS_MAX = 8;

/** Where records go now. Its file is made from a spare when its first record is written. */
interface ActiveSegment {
  readonly name: string;
  readonly firstSequence: number;
  readonly bytes: number;
  /** Where the next frame goes. */
  at: number;
  /** The zeros to become this segment; null once they have. */
  spare: string | null;
  file: JournalFile | null;
}

/** Frames that follow one another in one segment, on their way to the disk. */
interface Chunk {
  readonly segment: ActiveSegment;
  readonly at: number;
  readonly bytes: Buffer;
  used: number;
  /** One past the last record in it. */
  nextSequence: number;
  readonly sinceUs: number;
}

/**
 * Opens the journal of a directory, after any kind of end, and takes the directory's lock.
 *
 * Memory is bounded by the disk: what is admitted fits into segments that already exist, and only that can wait to be written.
 */
export async function createJournal(options: JournalOptions): Promise<OpenJournal> {
  const { directory, clock, random, onEvent } = options;
  const files = options.files ?? createDiskFiles();
  const syncIntervalMs = options.syncIntervalMs ?? 50;
  const retryMs = options.retryMs ?? 1000;
  const bytesMax = options.bytesMax ?? 1024 * MEBIBYTE;
  const segmentBytes = options.segmentBytes ?? Math.min(16 * MEBIBYTE, Math.floor(bytesMax / 8));
  invariant(segmentBytes >= SEGMENT_BYTES_MIN, `segmentBytes must be at least ${SEGMENT_BYTES_MIN}, not ${segmentBytes}`);
  invariant(bytesMax >= 3 * segmentBytes, `bytesMax must be at least three segments (${3 * segmentBytes}), not ${bytesMax}`);

  await files.makeDirectory(directory);
  // The lock is for other processes; a file port of the tests has a world of its own.
  const lock = options.files ? null : await lockDirectory(directory);
  const recovered = await recover(directory, files, onEvent).catch(async (error: unknown) => {
    await lock?.release();
    throw error;
  });
  const id = recovered.journal ?? random.hex(16);
  const inDirectory = (name: string): string => path.join(directory, name);

  const synced = new SharedArrayBuffer(8);
  const syncedView = new BigInt64Array(synced);
  let syncedSequence = recovered.nextSequence;
  Atomics.store(syncedView, 0, BigInt(syncedSequence));

  let nextSequence = recovered.nextSequence;
  let active: ActiveSegment | null = recovered.tail && {
    ...recovered.tail.segment,
    at: recovered.tail.at,
    spare: null,
    file: recovered.tail.file,
  };
  const opened: ActiveSegment[] = active === null ? [] : [active];
  const closed: ClosedSegment[] = [...recovered.closed];
  let asideBytes = recovered.asideBytes;
  /** First sequence of the newest segment that has its name on the disk. */
  let newestNamed = active?.firstSequence ?? closed.at(-1)?.firstSequence ?? 0;

  let outstanding = 0;
  let recordsAppended = 0;
  let chunk: Chunk | null = null;
  let waiting: Chunk[] = [];
  const idleChunks: Buffer[] = [];
  let inFlightSinceUs: number | null = null;
  let timer: Timer | null = null;
  let writing: Promise<void> | null = null;
  let writeProblem: string | null = null;
  let flushers: { readonly upTo: number; readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];
  let removing: Promise<void> | null = null;
  let appliedUpTo = 0;
  const damagedSegments = new Set<number>();
  let isClosed = false;

  const spares = createSpares({
    directory,
    files,
    clock,
    segmentBytes,
    retryMs,
    existing: recovered.spares,
    hasRoom: () => bytesUsed() + segmentBytes <= bytesMax,
    onFailure: (because) => fail(`cannot set space aside: ${because}`),
    onRecovered: () => {
      if (writeProblem === null)
        onEvent({ level: 'info', kind: 'recovered', message: 'journal: space could be set aside again' });
    },
  });
  await spares.topUp();

  return {
    directory,
    id,
    synced,
    reserve(): JournalRefusal | null {
      const refusal = refusalNow();
      if (refusal === null) outstanding++;
      return refusal;
    },
    release() {
      invariant(outstanding > 0, 'a journal reservation was released that was never made');
      outstanding--;
    },
    append,
    flush,
    status,
    applied(position, damaged) {
      if (isClosed) return;
      appliedUpTo = Math.max(appliedUpTo, position);
      for (const firstSequence of damaged ?? []) damagedSegments.add(firstSequence);
      removing ??= removeApplied().finally(() => (removing = null));
    },
    close,
  };

  function refusalNow(): JournalRefusal | null {
    if (writeProblem !== null) return 'failed';
    if (outstanding < recordsThatFit()) return null;
    return spares.problem() === null ? 'full' : 'failed';
  }

  /** How many records of any size have their place in zeros that are already on the disk. */
  function recordsThatFit(): number {
    const here = active === null ? 0 : Math.floor((active.bytes - active.at) / FRAME_BYTES_MAX);
    return here + spares.recordsThatFit();
  }

  function append(record: UsageRecord): void {
    invariant(outstanding > 0, 'a record was appended without a reservation');
    invariant(!isClosed, 'a record was appended to a closed journal');
    let json = JSON.stringify(record);
    if (json.length * 3 > PAYLOAD_BYTES_MAX && Buffer.byteLength(json) > PAYLOAD_BYTES_MAX) {
      json = fitRecord(record, PAYLOAD_BYTES_MAX, Buffer.byteLength);
    }
    const into = chunkWithRoom();
    const mark = { sequence: nextSequence, unsynced: nextSequence - syncedSequence };
    const length = writeFrame(into.bytes, into.used, json, mark);
    into.used += length;
    into.segment.at += length;
    nextSequence++;
    into.nextSequence = nextSequence;
    outstanding--;
    recordsAppended++;
    if (timer === null && writing === null && writeProblem === null) schedule(syncIntervalMs);
  }

  function chunkWithRoom(): Chunk {
    if (active === null || active.bytes - active.at < FRAME_BYTES_MAX) rotate();
    invariant(active !== null, 'a journal has an active segment after rotation');
    if (chunk !== null && chunk.segment === active && CHUNK_BYTES - chunk.used >= FRAME_BYTES_MAX) return chunk;
    if (chunk !== null) waiting.push(chunk);
    const bytes = idleChunks.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES);
    chunk = { segment: active, at: active.at, bytes, used: 0, nextSequence, sinceUs: clock.nowUs() };
    return chunk;
  }

  function rotate(): void {
    const spare = spares.take();
    invariant(spare !== null, 'a reserved record always has a place');
    if (active !== null) closed.push({ name: active.name, firstSequence: active.firstSequence, bytes: active.bytes });
    const name = segmentName(nextSequence);
    active = { name, firstSequence: nextSequence, bytes: spare.bytes, at: HEADER_BYTES, spare: spare.name, file: null };
    // A failure of this is kept by the spares, which try again.
    void spares.topUp();
  }

  function schedule(delayMs: number): void {
    timer = clock.after(delayMs, () => {
      timer = null;
      startWriting();
    });
  }

  function startWriting(): void {
    if (writing !== null) return;
    timer?.cancel();
    timer = null;
    const startedUs = clock.nowUs();
    writing = writeWaiting().then(
      () => {
        if (writeProblem !== null) {
          writeProblem = null;
          onEvent({ level: 'info', kind: 'recovered', message: 'journal: the disk takes records again' });
        }
        writing = null;
        const tookMs = Math.floor((clock.nowUs() - startedUs) / 1000);
        if (flushers.length > 0) startWriting();
        else if (hasWaiting()) schedule(Math.max(0, syncIntervalMs - tookMs));
      },
      (error: unknown) => {
        writing = null;
        const because = `cannot write records: ${describeFailure(error)}`;
        if (writeProblem === null) fail(because);
        writeProblem = because;
        if (!isClosed) schedule(retryMs);
      },
    );
  }

  function hasWaiting(): boolean {
    return chunk !== null || waiting.length > 0;
  }

  /** Writes and syncs what waits, segment by segment, in order. What is not synced when it fails goes back to wait. */
  async function writeWaiting(): Promise<void> {
    if (chunk !== null) waiting.push(chunk);
    chunk = null;
    const batch = waiting;
    waiting = [];
    inFlightSinceUs = batch[0]?.sinceUs ?? null;
    let done = 0;
    try {
      while (done < batch.length) {
        const segment = batch[done]?.segment;
        if (segment === undefined) break;
        let end = done;
        while (batch[end]?.segment === segment) end++;
        const file = await openForWriting(segment);
        const group = batch.slice(done, end);
        for (const each of group) await file.write(each.bytes.subarray(0, each.used), each.at);
        // After a failed sync the kernel may forget that pages were dirty, so a retry writes them again before it syncs again.
        await file.datasync();
        markSynced(group);
        done = end;
      }
    } finally {
      waiting = [...batch.slice(done), ...waiting];
      inFlightSinceUs = null;
    }
    await closeFinished();
  }

  /** Header first, whole and synced, then the name: a segment that is found by name always has a header. */
  async function openForWriting(segment: ActiveSegment): Promise<JournalFile> {
    if (segment.file === null) {
      const spare = segment.spare;
      invariant(spare !== null, 'a segment without a file has a spare to become it');
      const file = await files.open(inDirectory(spare), { create: false });
      try {
        const { firstSequence } = segment;
        await file.write(encodeHeader({ journal: id, firstSequence, createdMs: clock.wallMs() }), 0);
        await file.datasync();
        await files.rename(inDirectory(spare), inDirectory(segment.name));
      } catch (error) {
        await file.close();
        throw error;
      }
      segment.file = file;
      opened.push(segment);
    }
    if (segment.spare !== null) {
      await files.syncDirectory(directory);
      segment.spare = null;
      newestNamed = segment.firstSequence;
    }
    return segment.file;
  }

  function markSynced(group: readonly Chunk[]): void {
    const last = group.at(-1);
    if (last === undefined) return;
    syncedSequence = last.nextSequence;
    Atomics.store(syncedView, 0, BigInt(syncedSequence));
    for (const { bytes } of group) if (idleChunks.length < IDLE_CHUNKS_MAX) idleChunks.push(bytes);
    const settled = flushers.filter(({ upTo }) => upTo <= syncedSequence);
    flushers = flushers.filter(({ upTo }) => upTo > syncedSequence);
    for (const { resolve } of settled) resolve();
  }

  /** Closes the files of segments that get no more records. */
  async function closeFinished(): Promise<void> {
    const finished = opened.filter((segment) => segment !== active && !waiting.some((each) => each.segment === segment));
    for (const segment of finished) {
      opened.splice(opened.indexOf(segment), 1);
      await segment.file?.close();
    }
  }

  function flush(): Promise<void> {
    if (syncedSequence === nextSequence) return Promise.resolve();
    return new Promise((resolve, reject) => {
      flushers.push({ upTo: nextSequence, resolve, reject });
      if (writeProblem === null) startWriting();
    });
  }

  function fail(because: string): void {
    onEvent({ level: 'error', kind: 'failed', because, message: `journal: ${because}` });
  }

  function bytesUsed(): number {
    const segments = closed.reduce((sum, { bytes }) => sum + bytes, 0) + (active?.bytes ?? 0);
    return segments + spares.bytes() + asideBytes;
  }

  function status(): JournalStatus {
    const kind = refusalNow() ?? 'ready';
    const oldest = inFlightSinceUs ?? waiting[0]?.sinceUs ?? chunk?.sinceUs ?? null;
    const full = `the journal has reached its bound of ${bytesMax} bytes with records that the store has not taken yet, or waits for more space to be set aside`;
    const because = kind === 'ready' ? '' : kind === 'full' ? full : (writeProblem ?? spares.problem() ?? '');
    return {
      kind,
      because,
      bytesUsed: bytesUsed(),
      bytesMax,
      recordsAppended,
      unsyncedMs: oldest === null ? 0 : Math.max(0, Math.ceil((clock.nowUs() - oldest) / 1000)),
    };
  }

  /**
   * Oldest first, each made durable before the next, so that a power cut never leaves a hole between segments. The newest stays:
   * it carries the journal's id and the numbers already given.
   */
  async function removeApplied(): Promise<void> {
    try {
      for (let segment = closed[0]; segment !== undefined && isRemovable(segment); segment = closed[0]) {
        const file = inDirectory(segment.name);
        if (damagedSegments.has(segment.firstSequence)) {
          await files.rename(file, `${file}.damaged`);
          asideBytes += segment.bytes;
          const message = `journal segment ${segment.name} is damaged and was set aside as ${segment.name}.damaged; it counts against the bound until it is moved away`;
          onEvent({ level: 'error', kind: 'set_aside', segment: segment.name, message });
        } else {
          await files.remove(file);
        }
        closed.shift();
        await files.syncDirectory(directory);
      }
    } catch (error) {
      fail(`cannot remove applied segments: ${describeFailure(error)}`);
    }
    await spares.topUp();
  }

  function isRemovable(oldest: ClosedSegment): boolean {
    const end = closed[1]?.firstSequence ?? active?.firstSequence ?? nextSequence;
    return end <= appliedUpTo && oldest.firstSequence < newestNamed;
  }

  async function close(): Promise<void> {
    if (isClosed) return;
    isClosed = true;
    timer?.cancel();
    // Once more with all that is left; a disk that refuses now is not waited for.
    do {
      if (writing === null) startWriting();
      await writing;
    } while (hasWaiting() && writeProblem === null);
    timer?.cancel();
    const lost = nextSequence - syncedSequence;
    if (lost > 0) {
      const message = `journal: closed with ${lost} records that could not be written: ${writeProblem}`;
      onEvent({ level: 'error', kind: 'lost', records: lost, message });
      for (const { reject } of flushers) reject(new Error(message));
    }
    await spares.close();
    await removing;
    for (const { file } of opened) await file?.close();
    await lock?.release();
  }
}
