import { type AbuseRule, durationMs } from '#contracts/abuse';
import type { UsageRecord } from '#contracts/record';
import { invariant } from '../kernel/index.ts';
import { NOT_RECORDED, observationOf } from './observation.ts';
import { type Interval, wilson } from './precision.ts';
import { type CompiledRule, compileRules } from './rules.ts';
import { createSignalBook, type SignalBookOptions, type Whereabouts } from './signal-book.ts';
import type { SignalName } from './signal-names.ts';

/** What one rule would have done on replayed traffic. */
export interface RuleReport {
  readonly id: string;
  readonly rung: AbuseRule['rung'];
  /** Times that the rule was asked about a subject, and of these, how often it could not tell. */
  readonly judged: number;
  readonly unmeasured: number;
  /** Times that it would have opened or updated a case: once for a subject in each window of the rule. */
  readonly firings: number;
  /** Subjects of which it could tell at least once, and those on which it fired. */
  readonly subjectsMeasured: number;
  readonly subjectsFired: number;
  /** Share of measured subjects on which it fired; null when it could tell of none. */
  readonly subjectsFiredShare: Interval | null;
  /**
   * Requests of subjects while the rule stood against them (from a firing until its window ended), of all requests of its kind of
   * subject; an interval as if requests were independent, which those of one subject are not: it is too narrow.
   */
  readonly requests: number;
  readonly requestsStruck: number;
  readonly requestsStruckShare: Interval | null;
  /** Signals of the rule that could not be told, and how often each was why. */
  readonly missing: { readonly [signal in SignalName]?: number };
  /** Signals of the rule that no usage record can tell: it was not tested, whatever else this says. */
  readonly notRecorded: readonly SignalName[];
}

export interface ReplayReport {
  readonly records: number;
  readonly firstMs: number | null;
  readonly lastMs: number | null;
  /** Records older than one before them by more than the reorder bound: they were counted for the present. */
  readonly late: number;
  /** Subjects that had to make way: what they did later was judged without what they did before. */
  readonly evicted: number;
  readonly rules: readonly RuleReport[];
}

/** Feeds past requests to rules as if they were happening, and does nothing about it. */
export interface Replay {
  /** @param record - in the order in which requests ended, as the journal and the store keep them */
  take(record: UsageRecord): void;
  report(): ReplayReport;
}

/**
 * What usage records do not carry: the address, the text's signature, whether a limit was near, how accounts were made, and when a
 * model was released. Requests without a known key carry nothing to count them on at all.
 */
export const UNRECORDED_SIGNALS: readonly SignalName[] = [
  'distinct_networks',
  'new_networks',
  'distinct_countries',
  'impossible_travels',
  'travel_speed',
  'two_places',
  'datacenter_share',
  'vpn_share',
  'near_limit_share',
  'template_repeat_share',
  'new_model_share',
  'new_model_excess',
  'distinct_keys',
  'failed_authentications_hour',
  'failed_authentication_share',
  'new_accounts',
  'disposable_mail',
  'network_new_accounts',
  'domain_new_accounts',
];

/** Records that ended this much earlier than one before them are nothing to speak of. */
const REORDER_MS = 60_000;
const NOWHERE: Whereabouts = { place: () => null, isDatacenter: () => null, isVpn: () => null };

interface Tally {
  readonly compiled: CompiledRule;
  judged: number;
  unmeasured: number;
  firings: number;
  requests: number;
  requestsStruck: number;
  readonly measured: Set<string>;
  /** By subject: until when the rule stands against it. */
  readonly fired: Map<string, number>;
  readonly missing: Map<SignalName, number>;
}

/**
 * @param rules - that compile; whether they are dry runs does not matter here
 * @param options - of the book: thresholds and room must be those of the gateway that the rules are for
 */
export function createReplay(rules: readonly AbuseRule[], options: Omit<SignalBookOptions, 'whereabouts'>): Replay {
  const compiled = compileRules(rules);
  invariant(compiled.ok, 'rules are compiled before they are replayed');
  const book = createSignalBook({ ...options, whereabouts: NOWHERE });
  const tallies = compiled.value.map((one): Tally => ({
    compiled: one,
    judged: 0,
    unmeasured: 0,
    firings: 0,
    requests: 0,
    requestsStruck: 0,
    measured: new Set(),
    fired: new Map(),
    missing: new Map(),
  }));
  let [records, firstMs, lastMs, late] = [0, Infinity, -Infinity, 0];

  return {
    take(record) {
      const endedMs = record.atMs + Math.round(record.durationUs / 1_000);
      records++;
      firstMs = Math.min(firstMs, record.atMs);
      if (endedMs < lastMs - REORDER_MS) late++;
      lastMs = Math.max(lastMs, endedMs);
      for (const tally of tallies) countRequest(tally, record, lastMs);
      for (const subject of book.observe(observationOf(record, NOT_RECORDED), lastMs)) {
        const reading = book.read(subject, lastMs);
        if (!reading) continue;
        for (const tally of tallies) {
          if (tally.compiled.rule.on !== subject.kind) continue;
          tally.judged++;
          const judgement = tally.compiled.judge(reading);
          if (judgement.kind === 'unmeasured') {
            tally.unmeasured++;
            for (const name of judgement.signals) tally.missing.set(name, (tally.missing.get(name) ?? 0) + 1);
            continue;
          }
          tally.measured.add(subject.id);
          if (judgement.kind === 'fires') fire(tally, subject.id, lastMs);
        }
      }
    },
    report: () => ({
      records,
      firstMs: records === 0 ? null : firstMs,
      lastMs: records === 0 ? null : lastMs,
      late,
      evicted: Object.values(book.size).reduce((sum, { evicted }) => sum + evicted, 0),
      rules: tallies.map(reportOf),
    }),
  };
}

function countRequest(tally: Tally, record: UsageRecord, nowMs: number): void {
  const id = subjectOf(tally.compiled.rule.on, record);
  if (id === null) return;
  tally.requests++;
  if ((tally.fired.get(id) ?? -Infinity) > nowMs) tally.requestsStruck++;
}

function subjectOf(kind: AbuseRule['on'], record: UsageRecord): string | null {
  switch (kind) {
    case 'organization':
      return record.organization;
    case 'key':
      return record.key;
    case 'end_user':
      return record.endUser;
    case 'address_block':
      return null;
  }
}

function fire(tally: Tally, id: string, nowMs: number): void {
  if ((tally.fired.get(id) ?? -Infinity) > nowMs) return;
  tally.firings++;
  tally.fired.set(id, nowMs + durationMs(tally.compiled.rule.window));
}

function reportOf({ compiled, ...tally }: Tally): RuleReport {
  const { rule, signals } = compiled;
  const measured = tally.measured.size;
  return {
    id: rule.id,
    rung: rule.rung,
    judged: tally.judged,
    unmeasured: tally.unmeasured,
    firings: tally.firings,
    subjectsMeasured: measured,
    subjectsFired: tally.fired.size,
    subjectsFiredShare: measured === 0 ? null : wilson(tally.fired.size, measured),
    requests: tally.requests,
    requestsStruck: tally.requestsStruck,
    requestsStruckShare: measured === 0 || tally.requests === 0 ? null : wilson(tally.requestsStruck, tally.requests),
    missing: Object.fromEntries(tally.missing),
    notRecorded: signals.filter((name) => UNRECORDED_SIGNALS.includes(name)),
  };
}
