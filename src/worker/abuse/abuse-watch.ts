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
import { createRuleBench, type RuleBench, type RuleCounts } from './rule-bench.ts';
import { compiledRules, rulesInForce } from './rules-in-force.ts';
import { createWatchedLists } from './watched-lists.ts';

/** What a gateway knows of a request and does not record. */
export interface Unrecorded {
  /** The client's, as far as it can be believed. */
  readonly address: string | null;
  /** Whether one of its limits had less than a fifth left; null when that was not looked at. */
  readonly isNearLimit: boolean | null;
  /** From `sketchText`, of what the client last wrote; null when it was not sketched. */
  readonly template: ArrayLike<number> | null;
}

/** From finished requests to signals, from signals to rules, and from rules that fire to cases and actions. */
export interface AbuseWatch {
  /** Counts a request that has ended. Neither waits nor throws; rules are asked after it, a few subjects at a time. */
  observe(record: UsageRecord, known: Unrecorded): void;
  observeAccount(account: {
    readonly organization: string;
    readonly address: string | null;
    /** The domain of its mail address; null when not known. */
    readonly mailDomain: string | null;
  }): void;
  /** Says that a model is served since `atMs`, wall ms. */
  noteRelease(model: string, atMs: number): void;
  /** For `Unrecorded.template`; the text cannot be read from it. */
  sketchText(text: string): Uint32Array | null;
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
  /** Subjects that wait to be judged; and those that found no room to, and are judged the next time. */
  readonly judging: number;
  readonly notJudged: number;
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

/** Subjects that may wait to be judged, and how many are at once: some 10 µs each, so that requests never wait for long. */
const DUE_MAX = 1_024;
const JUDGED_AT_ONCE = 32;
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
  const due: { readonly subject: Subject; readonly organization: string }[] = [];
  let [notJudged, defects] = [0, 0];
  let judging: Timer | null = null;
  let isClosed = false;

  const onDefect = (error: unknown): void => {
    // The first says what it is; the rest are counted.
    if (defects++ === 0) onEvent({ level: 'error', message: `abuse signals met a defect: ${String(error)}` });
  };
  const judge = ({ subject, organization }: (typeof due)[number]): void => {
    const nowMs = clock.wallMs();
    const reading = book.read(subject, nowMs);
    if (reading === null || subject.kind === 'workspace') return;
    for (const rule of bench.judge(subject.kind, reading)) filer.add({ rule, subject, organization, reading, atMs: nowMs });
  };
  const judgeSome = (): void => {
    judging = null;
    try {
      for (const one of due.splice(0, JUDGED_AT_ONCE)) judge(one);
    } catch (error) {
      onDefect(error);
    }
    if (due.length > 0) judging = clock.after(0, judgeSome);
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
    observe(record, { address, isNearLimit, template }) {
      if (isClosed) return;
      try {
        const observation = observationOf(record, {
          address: address === null ? null : parseAddress(address),
          isNearLimit,
          template,
        });
        for (const subject of book.observe(observation, clock.wallMs())) {
          const organization = subject.kind === 'address_block' ? home : record.organization;
          if (organization === null) continue;
          if (due.length < DUE_MAX) due.push({ subject, organization });
          else notJudged++;
        }
        if (due.length > 0) judging ??= clock.after(0, judgeSome);
      } catch (error) {
        onDefect(error);
      }
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
    sketchText: (text) => book.sketchText(text),
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
      judging: due.length,
      notJudged,
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
      judging?.cancel();
      settling?.cancel();
      due.length = 0;
      await Promise.all([filer.close(), lists.close()]);
    },
  };
}
