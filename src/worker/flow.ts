import {
  createDiskFiles,
  createJournalReader,
  type JournalPiece,
  type JournalReader,
  UnknownRecordVersion,
  type UsageStore,
} from '#storage';
import type { Clock } from '#contracts/clock';
import type { FlowProgress, FlowThreadData, FromFlowThread } from './flow-messages.ts';

/** Moves one journal's records into the store. */
export interface Flow {
  /** Applies one batch. `stopped`: something stands in the way, which `progress` names. */
  step(): Promise<'caught_up' | 'more' | 'stopped'>;
  /** Lets the journal forget what has been applied, once the store can no longer lose it. */
  persist(): Promise<void>;
  progress(): FlowProgress;
  close(): Promise<void>;
}

export function createFlow(options: {
  readonly data: FlowThreadData;
  readonly store: UsageStore;
  readonly clock: Clock;
  readonly tell: (message: FromFlowThread) => void;
}): Flow {
  const { data, store, clock, tell } = options;
  const synced = new BigInt64Array(data.synced);
  const files = createDiskFiles();
  const damaged = new Set<number>();
  let reader: JournalReader | null = null;
  let position = 0;
  let persisted = 0;
  let recordsApplied = 0;
  let appliedThroughMs = 0;
  let obstacle: { readonly kind: 'away' | 'blocked'; readonly because: string } | null = null;
  /** The batch whose transaction was begun and not answered: it may or may not have been committed. */
  let doubtful = false;
  /** Someone else moves our position: records would be taken for theirs, so nothing more is applied. */
  let isContended = false;

  async function step(): Promise<'caught_up' | 'more' | 'stopped'> {
    if (isContended) return 'stopped';
    const nowMs = clock.wallMs();
    const syncedTo = Number(Atomics.load(synced, 0));
    try {
      reader ??= await openReader(syncedTo);
      if (reader === null) return 'stopped';
      const piece = await reader.next({ syncedTo, recordsMax: data.batchMax });
      if (piece.kind === 'stuck') {
        block(
          `the newest journal segment is damaged at record ${piece.at}: what follows is counted as lost when the next segment begins`,
        );
        return 'stopped';
      }
      if (piece.kind !== 'nothing' && !(await take(piece))) return 'stopped';
      obstacle = null;
      if (position < syncedTo) return 'more';
      appliedThroughMs = nowMs;
      return 'caught_up';
    } catch (error) {
      // Where the store stands is asked again, and the files are read again from there.
      await dropReader();
      if (error instanceof UnknownRecordVersion) block(error.message);
      else if (data.place.kind === 'embedded') throw error;
      else obstacle = { kind: 'away', because: messageOf(error) };
      return 'stopped';
    }
  }

  async function openReader(syncedTo: number): Promise<JournalReader | null> {
    position = await store.position(data.journal);
    if (position > syncedTo) {
      block(
        `the store has ${position} records of this journal, which has only ${syncedTo}: an older copy of the journal's directory was put back; move it away, and a new journal is begun`,
      );
      return null;
    }
    persisted = Math.min(persisted, position);
    return createJournalReader({ directory: data.directory, files, from: position });
  }

  async function take(piece: Extract<JournalPiece, { kind: 'records' | 'lost' }>): Promise<boolean> {
    const count = piece.kind === 'records' ? piece.to - piece.from : 0;
    const lines = piece.kind === 'records' ? piece.lines : new Uint8Array();
    const wasDoubtful = doubtful;
    doubtful = true;
    const answer = await store.apply({ journal: data.journal, from: piece.from, to: piece.to, count, lines });
    doubtful = false;
    if (answer !== 'applied') {
      await dropReader();
      // After a lost connection the last batch may have been committed after all. Otherwise someone else moves the position.
      isContended = !wasDoubtful;
      if (isContended) block('another process applies a journal of the same id: its directory was copied; move one of them away');
      return false;
    }
    position = piece.to;
    recordsApplied += count;
    if (piece.kind === 'lost') {
      damaged.add(piece.segment);
      tell({ kind: 'lost', from: piece.from, to: piece.to });
    }
    return true;
  }

  function block(because: string): void {
    obstacle = { kind: 'blocked', because };
  }

  async function dropReader(): Promise<void> {
    const dropped = reader;
    reader = null;
    await dropped?.close();
  }

  return {
    step,
    async persist() {
      if (persisted === position) return;
      const upTo = position;
      await store.persist();
      persisted = upTo;
      tell({ kind: 'applied', position: upTo, damaged: [...damaged] });
    },
    progress: () => ({
      kind: obstacle?.kind ?? 'ready',
      because: obstacle?.because ?? '',
      position,
      appliedThroughMs,
      recordsApplied,
    }),
    close: dropReader,
  };
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
