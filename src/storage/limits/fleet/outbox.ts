import type { Clock } from '#contracts/clock';
import type { MeterGroup } from '#core/limits';
import type { SharedOperation } from '../shared-limits.ts';
import type { StoreLink } from './store-link.ts';
import { isReachable } from './store-link.ts';
import type { SubjectRow } from './subject-row.ts';

/**
 * What this gateway still has to tell the store: settlements, added up for each subject and sent in batches that have an id of
 * their own, so that a batch whose answer was lost can be sent again and count once; and how many places it holds, which may be
 * said again as often as one likes.
 */
export interface Outbox {
  /**
   * The row owes, or its places changed. Sent at once, with what else comes in the next ms, or `later`: what goes back to the
   * store is late for nobody but the other gateways, and one operation can carry what many requests give back.
   */
  note(row: SubjectRow, when: 'now' | 'soon' | 'later'): void;
  /** Sends what a row owes before anything else is asked about it. */
  flushRow(row: SubjectRow): void;
  /** Sends everything: what is owed, what was not acknowledged, and the places that are held. */
  flushAll(): void;
  /** Units that could not be told and were let go, in settlements of one subject each. */
  readonly dropped: number;
  /** Resolves when nothing is under way and nothing left to tell, or as soon as the store cannot be told. */
  emptied(): Promise<void>;
  close(): void;
}

interface Batch {
  readonly id: string;
  readonly rows: readonly SubjectRow[];
  readonly groups: readonly MeterGroup[];
  readonly units: Float64Array;
  readonly chargedAtUs: number;
  isUnderWay: boolean;
}

export interface OutboxOptions {
  readonly link: StoreLink;
  readonly clock: Clock;
  readonly gateway: string;
  readonly frame: (part: Pick<SharedOperation, 'what' | 'groups' | 'units'> & Partial<SharedOperation>) => SharedOperation;
  /** Most subjects with something to tell; beyond it, what is owed is dropped and counted. */
  readonly subjectsMax: number;
}

const SOON_MS = 1;
/** What is told later goes in so many slices, the oldest first: all at once it would keep requests waiting behind it. */
const LATER_MS = 250;
const LATER_SLICES = 25;
const BATCH_MAX = 16;
/** Longer than this the store does not remember what was applied: a batch is then let go rather than counted twice. */
const RETRY_US_MAX = 1_800_000_000;

export function createOutbox({ link, clock, gateway, frame, subjectsMax }: OutboxOptions): Outbox {
  const owing = new Set<SubjectRow>();
  const owingLater = new Set<SubjectRow>();
  const unacknowledged = new Set<Batch>();
  let [sequence, dropped] = [0, 0];
  const underWay = new Set<Promise<unknown>>();
  const track = (sending: Promise<void>): void => {
    const ended = sending.finally(() => underWay.delete(ended));
    underWay.add(ended);
  };
  let timer: ReturnType<Clock['after']> | null = null;
  let laterTimer: ReturnType<Clock['after']> | null = null;

  const send = async (batch: Batch): Promise<void> => {
    batch.isUnderWay = true;
    const ageUs = clock.nowUs() - batch.chargedAtUs;
    const operation = frame({ what: 'settle', groups: batch.groups, units: batch.units, id: batch.id, step: 1, ageUs });
    const isDone = (reply: { readonly ahead: Float64Array } | null): void => {
      batch.isUnderWay = false;
      if (reply === null) return;
      unacknowledged.delete(batch);
      let from = 0;
      for (const row of batch.rows) {
        row.hear(reply.ahead, from, clock.nowUs());
        from += row.group.rates.length;
      }
    };
    const reply = await link.ask(operation, 'background', isDone);
    if (reply !== null) isDone(reply);
  };
  const settle = (rows: readonly SubjectRow[]): void => {
    const owed = rows.filter((row) => row.isOwing);
    if (owed.length === 0) return;
    const batch: Batch = {
      id: `${gateway}.${(sequence += 1)}`,
      rows: owed,
      groups: owed.map(({ group }) => group),
      units: Float64Array.from(owed.flatMap((row) => [...row.owed])),
      chargedAtUs: Math.min(...owed.map(({ owedSinceUs }) => owedSinceUs)),
      isUnderWay: false,
    };
    for (const row of owed) {
      row.owed.fill(0);
      row.isOwing = false;
    }
    unacknowledged.add(batch);
    track(send(batch));
  };
  const hold = async (rows: readonly SubjectRow[]): Promise<void> => {
    const held = rows.filter((row) => row.arePlacesStale);
    if (held.length === 0) return;
    const counts = held.flatMap((row) => [...row.allotted.keys()].map((of) => (row.isPlaces(of) ? row.placesToHold(of) : 0)));
    for (const row of held) row.arePlacesStale = false;
    const sentAtUs = clock.nowUs();
    const operation = frame({ what: 'hold', groups: held.map(({ group }) => group), units: Float64Array.from(counts) });
    const reply = await link.ask(operation, 'background', () => undefined);
    let from = 0;
    for (const row of held) {
      if (reply === null) {
        row.arePlacesStale = true;
        owing.add(row);
      } else {
        row.holdUntil(sentAtUs);
        row.hear(reply.ahead, from, clock.nowUs());
      }
      from += row.group.rates.length;
    }
  };
  const flush = (): void => {
    timer?.cancel();
    timer = null;
    if (!isReachable(link.breaker)) return;
    for (const rows of batchesOf(owing)) {
      settle(rows);
      track(hold(rows));
    }
    owing.clear();
  };
  const flushLater = (rowsMax: number): void => {
    let rows = 0;
    for (const row of owingLater) {
      if (rows++ >= rowsMax) break;
      owingLater.delete(row);
      owing.add(row);
    }
    flush();
  };
  const flushSlice = (): void => {
    laterTimer = null;
    flushLater(Math.ceil(owingLater.size / LATER_SLICES));
    if (owingLater.size > 0) laterTimer = clock.after(LATER_MS / LATER_SLICES, flushSlice);
  };
  const resend = (): void => {
    for (const batch of unacknowledged) {
      if (batch.isUnderWay) continue;
      if (clock.nowUs() - batch.chargedAtUs > RETRY_US_MAX) {
        unacknowledged.delete(batch);
        dropped += batch.rows.length;
      } else track(send(batch));
    }
  };
  return {
    note(row, when) {
      if (owing.size + owingLater.size >= subjectsMax && !owing.has(row) && !owingLater.has(row)) {
        if (row.isOwing) dropped += 1;
        row.isOwing = false;
        row.owed.fill(0);
        // What is held is told again at the next renewal.
        row.arePlacesStale = false;
        return;
      }
      if (when === 'later') {
        if (owing.has(row)) return;
        owingLater.add(row);
        laterTimer ??= clock.after(LATER_MS / LATER_SLICES, flushSlice);
        return;
      }
      owingLater.delete(row);
      owing.add(row);
      if (when === 'now') flush();
      else timer ??= clock.after(SOON_MS, flush);
    },
    flushRow(row) {
      const isOwing = owing.delete(row);
      if (!owingLater.delete(row) && !isOwing) return;
      settle([row]);
      track(hold([row]));
    },
    flushAll() {
      resend();
      flushLater(Infinity);
    },
    get dropped() {
      return dropped;
    },
    async emptied() {
      while (underWay.size > 0 && isReachable(link.breaker)) await Promise.race(underWay);
    },
    close() {
      timer?.cancel();
      laterTimer?.cancel();
    },
  };
}

/** Rows of one organization together, a few at a time. */
function batchesOf(rows: Iterable<SubjectRow>): readonly (readonly SubjectRow[])[] {
  const filling = new Map<string, SubjectRow[]>();
  const full: SubjectRow[][] = [];
  for (const row of rows) {
    const batch = filling.get(row.group.tenant) ?? [];
    batch.push(row);
    filling.set(row.group.tenant, batch);
    if (batch.length < BATCH_MAX) continue;
    full.push(batch);
    filling.delete(row.group.tenant);
  }
  return [...full, ...filling.values()];
}
