import type { AbuseRule } from '#contracts/abuse';
import type { Case, Subject } from '#contracts/tenancy';
import { type Reviews, reviewsOf } from '#core/abuse';
import type { ControlStore } from '#storage';

/** What reviewers have said of each rule, and who has a case open: read from the store, change by change. */
export interface CaseLedger {
  /** Reads what changed since; rejects with `StoreAway`. One read at a time: a second call is part of the first. */
  refresh(): Promise<void>;
  /**
   * Reviews of a rule as it is now: those of an earlier expression, or of another kind of subject, measured something else.
   * @returns null before the store was read whole
   */
  reviewsOf(rule: AbuseRule): Reviews | null;
  readonly openCases: number;
}

export interface CaseLedgerOptions {
  readonly store: Pick<ControlStore, 'changesAfter'>;
  /** Told of a subject that has no open case any more. */
  readonly onSettled: (subject: Subject) => void;
  /** Cases that are remembered, those changed last: precision is that of late reviews. */
  readonly casesMax?: number;
}

interface Entry {
  readonly tally: string;
  readonly reviews: Reviews;
  readonly subject: Subject;
  readonly isOpen: boolean;
}

const CASES_MAX = 32_768;
const PAGE = 500;

export function createCaseLedger({ store, onSettled, casesMax = CASES_MAX }: CaseLedgerOptions): CaseLedger {
  const entries = new Map<string, Entry>();
  const tallies = new Map<string, Reviews>();
  const open = new Map<string, number>();
  let cursor = 0;
  let isWhole = false;
  let reading: Promise<void> | null = null;

  const count = ({ tally, reviews, subject, isOpen }: Entry, sign: 1 | -1): void => {
    if (reviews.confirmed + reviews.notConfirmed > 0) {
      const so = tallies.get(tally) ?? { confirmed: 0, notConfirmed: 0 };
      tallies.set(tally, {
        confirmed: so.confirmed + sign * reviews.confirmed,
        notConfirmed: so.notConfirmed + sign * reviews.notConfirmed,
      });
    }
    if (!isOpen) return;
    const key = `${subject.kind} ${subject.id}`;
    const left = (open.get(key) ?? 0) + sign;
    if (left > 0) open.set(key, left);
    else open.delete(key);
  };
  const forget = (id: string): Subject | null => {
    const entry = entries.get(id);
    if (!entry) return null;
    entries.delete(id);
    count(entry, -1);
    return entry.isOpen ? entry.subject : null;
  };
  const take = (one: Case): void => {
    const was = forget(one.id);
    const entry = entryOf(one);
    entries.set(one.id, entry);
    count(entry, 1);
    const dropped = entries.size > casesMax ? forget(entries.keys().next().value as string) : null;
    for (const subject of [was, dropped]) if (subject && !open.has(`${subject.kind} ${subject.id}`)) onSettled(subject);
  };
  const read = async (): Promise<void> => {
    for (;;) {
      const page = await store.changesAfter(cursor, ['case'], PAGE);
      if (page.throughCommit < cursor) {
        // The store was set back to an earlier day: what was read since is not there any more.
        for (const id of entries.keys()) forget(id);
        [cursor, isWhole] = [0, false];
        continue;
      }
      for (const { object } of page.objects) if (object.kind === 'case') take(object);
      for (const { id } of page.unreadable) forget(id);
      cursor = page.throughCommit;
      if (page.hasMore) continue;
      isWhole = true;
      return;
    }
  };

  return {
    refresh() {
      reading ??= read().finally(() => (reading = null));
      return reading;
    },
    reviewsOf: (rule) =>
      isWhole ? (tallies.get(tallyOf(rule.id, rule.on, rule.when)) ?? { confirmed: 0, notConfirmed: 0 }) : null,
    get openCases() {
      return [...open.values()].reduce((sum, cases) => sum + cases, 0);
    },
  };
}

const tallyOf = (rule: string, on: string, when: string | undefined): string => `${rule} ${on} ${when ?? ''}`;

function entryOf(one: Case): Entry {
  return {
    tally: tallyOf(one.rule, one.subject.kind, one.when),
    reviews: reviewsOf(one.rule, [one]),
    subject: one.subject,
    isOpen: one.status === 'open',
  };
}
