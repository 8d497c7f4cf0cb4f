import type { UsageRecord } from '#contracts/record';

/**
 * The local, append-only journal of usage records. Appending never waits and never throws: room is reserved at admission, so a
 * request that was let in can always be recorded. What `append` took is durable after at most `syncIntervalMs`.
 */
export interface Journal {
  /** Sets room aside for one record, or says why there is none (`full`: the bound; `failed`: the disk). Integer arithmetic only. */
  reserve(): JournalRefusal | null;
  /** Gives back a reservation that will not be used. */
  release(): void;
  /** Appends the record of a reservation made earlier, and frees what the reservation held beyond the record's size. */
  append(record: UsageRecord): void;
  /** Resolves when everything appended so far is on the disk. */
  flush(): Promise<void>;
  status(): JournalStatus;
  /** Flushes and closes; appending afterwards is a bug. */
  close(): Promise<void>;
}

export type JournalRefusal = 'full' | 'failed';

export interface JournalStatus {
  readonly kind: 'ready' | JournalRefusal;
  /** Why, in words an operator can act on; empty when ready. */
  readonly because: string;
  readonly bytesUsed: number;
  readonly bytesMax: number;
  readonly recordsAppended: number;
  /** Oldest record not yet on the disk, ms old; 0 when none. */
  readonly unsyncedMs: number;
}

/** Where records come to rest and are asked about: PGlite embedded, or PostgreSQL. Every implementation passes `usage-store.conformance.ts`. */
export interface UsageStore {
  /**
   * Takes records `from`…`to` of one journal, and remembers `to`, in one transaction: repeating it changes nothing.
   * A batch that does not start at the remembered position is refused (`gap`), one that ends at or before it is `already` there.
   */
  apply(batch: UsageBatch): Promise<'applied' | 'already' | 'gap'>;
  /** The position up to which a journal's records have been applied; 0 for an unknown journal. */
  position(journal: string): Promise<number>;
  usage(query: UsageQuery): Promise<readonly UsageRow[]>;
  /** Whole records of a time, oldest batch first: what roll-ups do not tell. */
  records(query: RecordsQuery): Promise<readonly UsageRecord[]>;
  /** Drops whole records older than `beforeMs`, a batch at a time; totals stay. Answers how many batches went. */
  forget(beforeMs: number): Promise<number>;
  /** Resolves when everything applied so far survives a power cut: only then may a journal forget it. */
  persist(): Promise<void>;
  close(): Promise<void>;
}

export interface UsageBatch {
  /** The journal's own random id, written in its files. */
  readonly journal: string;
  /** Byte-independent sequence numbers: the first record of the batch, and one past the last. */
  readonly from: number;
  readonly to: number;
  /** How many records there are. Fewer than `to - from` says that the others are lost, and is counted. */
  readonly count: number;
  /**
   * The records as the journal holds them: JSON texts in UTF-8, each ended by a line feed. Bytes, so that a batch of thousands
   * is read one record at a time and leaves the garbage collector nothing to keep.
   */
  readonly lines: Uint8Array;
}

export interface UsageQuery {
  /** Only this organization's; null for all (operators only). */
  readonly organization: string | null;
  /** Whole UTC days are counted: from the day that holds `fromMs` up to the last one that begins before `toMs`. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly groupBy: readonly UsageDimension[];
}

export type UsageDimension = 'organization' | 'workspace' | 'key' | 'model' | 'day' | 'outcome';

export interface RecordsQuery {
  /** Only this organization's; null for all (operators only). */
  readonly organization: string | null;
  readonly fromMs: number;
  readonly toMs: number;
  /** The most to answer, 1 to 10,000. */
  readonly recordsMax: number;
}

export interface UsageRow {
  /** By dimension; a day is written 2026-01-31. Null: the request had none. */
  readonly group: { readonly [by: string]: string | null };
  readonly requests: number;
  /** Requests that no replica could answer, or whose answer broke: neither the caller's doing nor our refusal. */
  readonly failures: number;
  readonly input: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly output: number;
  /** How many of the requests have estimated tokens: a total that contains guesses says so. */
  readonly estimated: number;
  /** Null when no request in the group had a price. */
  readonly costMicroUsd: number | null;
  /** How many requests had no price: a cost that is not the whole cost says so. */
  readonly unpriced: number;
}
