import type { AbuseConfig, AbuseRule } from '#contracts/abuse';
import type { Clock, Timer } from '#contracts/clock';
import type { UsageRecord } from '#contracts/record';
import type { Rung, Subject, TenantObject } from '#contracts/tenancy';
import {
  allowedRung,
  createSignalBook,
  observationOf,
  type Reading,
  type Reviews,
  type Seed,
  type SignalBook,
  type SignalName,
} from '#core/abuse';
import { parseAddress } from '#core/addresses';
import { type ControlStore, StoreAway, type Versioned } from '#storage';
import { createCaseFiler, type FilerStatus } from './case-filer.ts';
import { createCaseLedger } from './case-ledger.ts';
import { lastTextOf } from './last-text.ts';
import { createRuleBench, type RuleBench, type RuleCounts } from './rule-bench.ts';
import { compiledRules, rulesInForce } from './rules-in-force.ts';
import { createWatchedLists } from './watched-lists.ts';

/** What a gateway knows of a request and does not record. */
export interface Seen {
  /** The client's, as far as it can be believed. */
  readonly address: string | null;
  /** Whether one of its limits had less than a fifth left; null when that was not looked at. */
  readonly isNearLimit: boolean | null;
  /** The last bytes of what the client wrote; read once, for a sketch from which they cannot be told, and dropped. */
  readonly tail: Uint8Array | null;
}

/** From finished requests to signals, from signals to rules, and from rules that fire to cases and actions. */
export interface AbuseWatch {
  /** Takes a request that has ended. Neither waits nor throws; it is counted afterwards, and rules are asked, a few at a time. */
  observe(record: UsageRecord, seen: Seen): void;
  observeAccount(account: {
    readonly organization: string;
    readonly address: string | null;
    /** The domain of its mail address; null when not known. */
    readonly mailDomain: string | null;
  }): void;
  /** Says that a model is served since `atMs`, wall ms. */
  noteRelease(model: string, atMs: number): void;
  /** What is known of a subject here, and what each rule says of it now; null when nothing is. */
  signals(subject: Subject): SubjectSignals | null;
  status(): AbuseStatus;
  /**
   * Takes another configuration; throws `BadAbuseRules` for rules that cannot be meant, and then has changed nothing. Room and
   * thresholds stay what they were until a restart.
   */
  replace(config: AbuseConfig): void;
  /** Ends after the case that is being written, if any. */
  close(): Promise<void>;
}

export interface SubjectSignals extends Reading {
  readonly subject: Subject;
  readonly rules: readonly {
    readonly rule: string;
    readonly says: 'fires' | 'quiet' | 'unmeasured';
    /** Signals that could not be told. */
    readonly missing: readonly SignalName[];
  }[];
}

export interface AbuseStatus extends FilerStatus {
  readonly subjects: SignalBook['size'];
  readonly bytes: number;
  /** Requests that wait to be counted and subjects that wait to be judged, and those that found no room to. */
  readonly waitingToCount: number;
  readonly notCounted: number;
  readonly waitingToJudge: number;
  readonly notJudged: number;
  /** Requests whose text was sketched, and those whose turn it was not. */
  readonly sketched: number;
  readonly notSketched: number;
  readonly defects: number;
  readonly openCases: number;
  readonly rules: readonly RuleStatus[];
}

export interface RuleStatus extends Omit<RuleCounts, 'rule'> {
  readonly id: string;
  readonly on: AbuseRule['on'];
  readonly isDryRun: boolean;
  /** What it asks for, and how far its reviews let it go by itself. */
  readonly rung: Rung;
  readonly allowed: Rung;
  /** Null while the store has not been read. */
  readonly reviews: Reviews | null;
}

export interface AbuseWatchOptions {
  readonly config: AbuseConfig;
  readonly clock: Clock;
  readonly store: ControlStore;
  /** A secret of the installation; the same after a restart or not, since nothing made with it is kept. */
  readonly seed: Seed;
  /** Applies what was committed on this gateway at once; may not throw. */
  readonly onCommitted: (objects: readonly Versioned<TenantObject>[]) => void;
  readonly onEvent: (event: AbuseEvent) => void;
  /** The organization that cases about networks are kept under, which are nobody's. */
  readonly home?: string;
}

export interface AbuseEvent {
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
}

/** What may wait, and what is done in one turn of the event loop: 2 µs a request and some 20 µs a subject, so that no request waits for long. */
const SEEN_MAX = 4_096;
const COUNTED_AT_ONCE = 64;
const DUE_MAX = 1_024;
const JUDGED_AT_ONCE = 16;
/** A sketch costs 30 µs: beyond so many a second, texts are a sample. */
const SKETCHES_PER_SECOND = 500;
/** How often closed cases are looked for when no rule fires. */
const SETTLE_MS = 60_000;

/** @throws BadAbuseRules */
export function createAbuseWatch(options: AbuseWatchOptions): AbuseWatch {
  const { clock, store, seed, onEvent, home = 'org_first' } = options;
  let { config } = options;
  let bench: RuleBench = createRuleBench(compiledRules(rulesInForce(config)));
  const lists = createWatchedLists({ config: config.lists, clock, onEvent });
  const book = createSignalBook({
    seed,
    whereabouts: lists,
    subjectsMax: config.subjects_max,
    falseAlarmsPerDay: config.false_alarms_per_day,
  });
  const ledger = createCaseLedger({ store, onSettled: (subject) => void book.setOpenCase(subject, false) });
  const filer = createCaseFiler({
    clock,
    store,
    ledger,
    onCommitted: options.onCommitted,
    onOpen: (subject) => void book.setOpenCase(subject, true),
    onEvent,
  });
  const seen: { readonly record: UsageRecord; readonly seen: Seen; readonly atMs: number }[] = [];
  const due: { readonly subject: Subject; readonly organization: string }[] = [];
  const sketches = createSketches(book, clock);
  let [notCounted, notJudged, defects] = [0, 0, 0];
  let working: Timer | null = null;
  let isClosed = false;

  const onDefect = (error: unknown): void => {
    // The first says what it is; the rest are counted.
    if (defects++ === 0) onEvent({ level: 'error', message: `abuse signals met a defect: ${String(error)}` });
  };
  const safely = (task: () => void): void => {
    try {
      task();
    } catch (error) {
      onDefect(error);
    }
  };
  const judge = ({ subject, organization }: (typeof due)[number]): void => {
    const nowMs = clock.wallMs();
    const reading = book.read(subject, nowMs);
    if (reading === null || subject.kind === 'workspace') return;
    for (const rule of bench.judge(subject.kind, reading)) filer.add({ rule, subject, organization, reading, atMs: nowMs });
  };
  const count = ({ record, seen: { address, isNearLimit, tail }, atMs }: (typeof seen)[number]): void => {
    const observation = observationOf(record, {
      address: address === null ? null : parseAddress(address),
      isNearLimit,
      template: tail && sketches.of(tail),
    });
    for (const subject of book.observe(observation, atMs)) {
      const organization = subject.kind === 'address_block' ? home : record.organization;
      if (organization === null) continue;
      if (due.length < DUE_MAX) due.push({ subject, organization });
      else notJudged++;
    }
  };
  const work = (): void => {
    working = null;
    for (const one of seen.splice(0, COUNTED_AT_ONCE)) safely(() => count(one));
    for (const one of due.splice(0, JUDGED_AT_ONCE)) safely(() => judge(one));
    if (seen.length + due.length > 0) working = clock.after(0, work);
  };
  const settle = async (): Promise<void> => {
    try {
      await ledger.refresh();
    } catch (error) {
      // A store that is away is complained of when a rule fires; this only waits for it.
      if (!(error instanceof StoreAway)) onDefect(error);
    }
    // It handles every failure itself.
    if (!isClosed) settling = clock.after(SETTLE_MS, () => void settle());
  };
  let settling: Timer | null = null;
  void settle();

  return {
    observe(record, known) {
      if (isClosed) return;
      if (seen.length >= SEEN_MAX) notCounted++;
      else seen.push({ record, seen: known, atMs: clock.wallMs() });
      working ??= clock.after(0, work);
    },
    observeAccount({ organization, address, mailDomain }) {
      const domain = mailDomain?.toLowerCase() ?? null;
      book.observeAccount(
        {
          organization,
          address: address === null ? null : parseAddress(address),
          mailDomain: domain,
          isDisposableMail: domain === null ? null : lists.isDisposable(domain),
        },
        clock.wallMs(),
      );
    },
    noteRelease: (model, atMs) => book.noteRelease(model, atMs),
    signals(subject) {
      const reading = book.read(subject, clock.wallMs());
      if (reading === null || subject.kind === 'workspace') return null;
      const rules = bench.ask(subject.kind, reading).map(({ rule, judgement }) => ({
        rule: rule.id,
        says: judgement.kind,
        missing: judgement.kind === 'unmeasured' ? judgement.signals : [],
      }));
      return { subject, ...reading, rules };
    },
    status: () => ({
      subjects: book.size,
      bytes: book.byteCount,
      waitingToCount: seen.length,
      notCounted,
      waitingToJudge: due.length,
      notJudged,
      ...sketches.counts,
      defects,
      openCases: ledger.openCases,
      ...filer.status(),
      rules: bench.counts().map(({ rule, ...counts }) => {
        const reviews = ledger.reviewsOf(rule);
        const allowed = allowedRung(reviews ?? { confirmed: 0, notConfirmed: 0 });
        return { id: rule.id, on: rule.on, isDryRun: rule.dry_run, rung: rule.rung, allowed, reviews, ...counts };
      }),
    }),
    replace(next) {
      bench = createRuleBench(compiledRules(rulesInForce(next)), bench);
      for (const fixed of ['subjects_max', 'false_alarms_per_day'] as const)
        if (JSON.stringify(next[fixed]) !== JSON.stringify(config[fixed]))
          onEvent({ level: 'warn', message: `abuse.${fixed} changes only with a restart` });
      config = next;
      filer.forget();
      lists.replace(next.lists);
    },
    async close() {
      isClosed = true;
      working?.cancel();
      settling?.cancel();
      seen.length = due.length = 0;
      await Promise.all([filer.close(), lists.close()]);
    },
  };
}

/** Sketches of texts, within a budget of time. */
function createSketches(book: SignalBook, clock: Clock): { of(tail: Uint8Array): Uint32Array | null; readonly counts: Sketched } {
  const counts = { sketched: 0, notSketched: 0 };
  let [left, sinceUs] = [SKETCHES_PER_SECOND, clock.nowUs()];
  return {
    counts,
    of(tail) {
      const nowUs = clock.nowUs();
      left = Math.min(SKETCHES_PER_SECOND, left + ((nowUs - sinceUs) / 1e6) * SKETCHES_PER_SECOND);
      sinceUs = nowUs;
      if (left < 1) {
        counts.notSketched++;
        return null;
      }
      left--;
      counts.sketched++;
      return book.sketchText(lastTextOf(tail));
    },
  };
}

type Sketched = Pick<AbuseStatus, 'sketched' | 'notSketched'>;
