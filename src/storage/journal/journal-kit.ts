import type { Clock, Random } from '#contracts/clock';
import type { UsageRecord } from '#contracts/record';
import type { JournalFiles } from './files.ts';
import { createJournalReader, type JournalPiece } from './reader.ts';
import type { OpenJournal } from './journal.ts';

/** A record of ordinary size, told from others by its number. */
export function sampleRecord(number: number, more: Partial<UsageRecord> = {}): UsageRecord {
  return {
    version: 1,
    id: `req_${String(number).padStart(12, '0')}`,
    atMs: Date.UTC(2026, 0, 1) + number * 1000,
    organization: `org_${number % 3}`,
    workspace: `ws_${number % 5}`,
    key: `key_${number % 7}`,
    endUser: null,
    conversation: null,
    dialect: 'anthropic',
    operation: 'messages',
    streamed: true,
    model: `model-${number % 2}`,
    behavior: null,
    pool: 'pool-1',
    region: 'eu-west',
    attempts: [
      {
        replica: 'eu-1',
        outcome: 'answered',
        status: 200,
        upstreamRequestId: `up_${number}`,
        startUs: 120,
        durationUs: 45_000,
        firstContentUs: 2_000,
      },
    ],
    outcome: 'answered',
    status: 200,
    code: null,
    stopReason: 'end_turn',
    tokens: { input: 10, cacheRead: 4, cacheWrite: 2, output: number % 100, estimated: false },
    costMicroUsd: 7,
    stagesUs: { receive: 10, authenticate: 5, admit: 5, place: 3, attempt: 44_000, stream: 1_000, settle: 10 },
    firstContentUs: 2_100,
    durationUs: 45_200,
    requestBytes: 2_000,
    responseBytes: 1_000,
    guards: [],
    ...more,
  };
}

/** The machine's clocks, for tests with real files. */
export function realClock(): Clock {
  return {
    nowUs: () => Math.round(performance.now() * 1000),
    wallMs: () => Date.now(),
    after(delayMs, task) {
      const timer = setTimeout(task, delayMs);
      return { cancel: () => clearTimeout(timer) };
    },
  };
}

/** A clock that moves only when told to. */
export interface ManualClock extends Clock {
  advance(ms: number): void;
}

export function manualClock(): ManualClock {
  let nowUs = 0;
  let timers: { readonly atUs: number; readonly task: () => void }[] = [];
  return {
    nowUs: () => nowUs,
    wallMs: () => Date.UTC(2026, 0, 1) + Math.floor(nowUs / 1000),
    after(delayMs, task) {
      const timer = { atUs: nowUs + delayMs * 1000, task };
      timers.push(timer);
      return { cancel: () => void (timers = timers.filter((each) => each !== timer)) };
    },
    advance(ms) {
      nowUs += ms * 1000;
      const due = timers.filter(({ atUs }) => atUs <= nowUs);
      timers = timers.filter(({ atUs }) => atUs > nowUs);
      for (const { task } of due) task();
    },
  };
}

/** The same numbers in the same order for the same seed (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  return {
    next,
    hex: (count) => Array.from({ length: count * 2 }, () => Math.floor(next() * 16).toString(16)).join(''),
  };
}

/** Everything that can be read from `from` up to what is synced, in order. */
export async function readAll(journal: OpenJournal, files: JournalFiles, from = 0): Promise<JournalPiece[]> {
  const reader = createJournalReader({ directory: journal.directory, files, from });
  const syncedTo = Number(Atomics.load(new BigInt64Array(journal.synced), 0));
  const pieces: JournalPiece[] = [];
  try {
    for (;;) {
      const piece = await reader.next({ syncedTo, recordsMax: 100 });
      if (piece.kind === 'nothing') return pieces;
      pieces.push(piece.kind === 'records' ? { ...piece, lines: Buffer.from(piece.lines) } : piece);
      if (piece.kind === 'stuck') return pieces;
    }
  } finally {
    await reader.close();
  }
}

/** The records in `pieces`, in order. */
export function recordsOf(pieces: readonly JournalPiece[]): UsageRecord[] {
  const texts = pieces.flatMap((piece) => (piece.kind === 'records' ? piece.lines.toString().split('\n').slice(0, -1) : []));
  return texts.map((text) => JSON.parse(text) as UsageRecord);
}

export function idsOf(pieces: readonly JournalPiece[]): string[] {
  return recordsOf(pieces).map(({ id }) => id);
}
