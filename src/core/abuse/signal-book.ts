import type { Subject } from '#contracts/tenancy';
import { type Address, networkOf, networkText, parseNetwork, type Place } from '../addresses/index.ts';
import { advanceRow, beginRow } from './advance-row.ts';
import { createDomains } from './domains.ts';
import { thresholdFor } from './false-alarms.ts';
import type { Coordinates } from './great-circle.ts';
import { createKeyedHash, type Seed } from './keyed-hash.ts';
import { createTextSketcher } from './min-hash.ts';
import type { Observation } from './observation.ts';
import { countryNumber, type Fact, observePlace, observeRow } from './observe-row.ts';
import { type AccountReading, readRow } from './read-row.ts';
import { createReleases } from './releases.ts';
import { BYTES_PER_SUBJECT, createNetworkCounter, F, FLOAT_COUNT, WORD_COUNT } from './row-layout.ts';
import { type Reading, WATCHED_KINDS, type WatchedKind } from './signal-names.ts';
import { createSubjectRows, type Row, type SubjectRows } from './subject-rows.ts';

/** What lists say of an address. A hit is a feature: carriers, companies and relays put honest people on lists. */
export interface Whereabouts {
  place(address: Address): Place | null;
  /** Null while there is no such list. */
  isDatacenter(address: Address): boolean | null;
  isVpn(address: Address): boolean | null;
}

/** An account that was just made. */
export interface NewAccount {
  readonly organization: string;
  readonly address: Address | null;
  /** The domain of its mail address, lower case; null when not known. */
  readonly mailDomain: string | null;
  /** Whether that domain is on a list of throwaway ones; null while there is no such list. */
  readonly isDisposableMail: boolean | null;
}

/**
 * What is known of each subject that was active lately, in memory alone: a process that starts knows nothing, and says so. Each kind
 * of subject has its own room, so that made-up end users cannot push keys out of it.
 */
export interface SignalBook {
  /**
   * Counts a finished request on its organization, key, end user and network. One without a known key counts on its network alone.
   * @param nowMs - wall ms when it ended
   * @returns those of them whose rules should be judged now; usually none
   */
  observe(observation: Observation, nowMs: number): readonly Subject[];
  observeAccount(account: NewAccount, nowMs: number): void;
  /** Says that a model was released at `atMs`: for a day, who turns to it at once is a signal. The last 64 are kept. */
  noteRelease(model: string, atMs: number): void;
  /** What is known of a subject; null when it is not in the book, or of a kind that is not watched. */
  read(subject: Subject, nowMs: number): Reading | null;
  /**
   * A subject with an open case stays in the book.
   * @returns false when it is not in it, or when a quarter of its kind's room is held by open cases
   */
  setOpenCase(subject: Subject, isOpen: boolean): boolean;
  /** The signature of what a client wrote, for `Observation.template`; the text cannot be read from it. */
  sketchText(text: string): Uint32Array | null;
  readonly size: {
    readonly [kind in WatchedKind]: { readonly subjects: number; readonly subjectsMax: number; readonly evicted: number };
  };
  readonly byteCount: number;
}

export interface SignalBookOptions {
  readonly seed: Seed;
  readonly whereabouts: Whereabouts;
  /** Subjects of each kind that have room at once. */
  readonly subjectsMax?: { readonly [kind in WatchedKind]: number };
  /** False alarms a day that each change detector may raise over all subjects of a kind, in traffic that does not change. */
  readonly falseAlarmsPerDay?: number;
  /** A subject is judged when this much time has passed since it last was, or this many requests. */
  readonly judgeEveryMs?: number;
  readonly judgeEveryRequests?: number;
}

export { BYTES_PER_SUBJECT };
const SUBJECTS_MAX = { organization: 16_384, key: 32_768, end_user: 16_384, address_block: 16_384 } as const;
const MINUTES_A_DAY = 1_440;
/** Fewer subjects than this are no reason for a lower threshold. */
const TESTED_MIN = 64;
const NOBODY: readonly Subject[] = [];

/** @param options - see {@link SignalBookOptions}; room is taken in segments as subjects come, {@link BYTES_PER_SUBJECT} bytes each */
export function createSignalBook({
  seed,
  whereabouts,
  subjectsMax = SUBJECTS_MAX,
  falseAlarmsPerDay = 1,
  judgeEveryMs = 60_000,
  judgeEveryRequests = 64,
}: SignalBookOptions): SignalBook {
  const hash = createKeyedHash(seed);
  const sketcher = createTextSketcher(hash);
  const counter = createNetworkCounter();
  const rowsOf = (kind: WatchedKind): SubjectRows =>
    createSubjectRows({ rowsMax: subjectsMax[kind], floatCount: FLOAT_COUNT, wordCount: WORD_COUNT });
  const rows = {
    organization: rowsOf('organization'),
    key: rowsOf('key'),
    end_user: rowsOf('end_user'),
    address_block: rowsOf('address_block'),
  } as const satisfies Record<WatchedKind, SubjectRows>;
  const thresholds = createThresholds(falseAlarmsPerDay);
  const releases = createReleases();
  const domains = createDomains();

  const take = (kind: WatchedKind, low: number, high: number, nowMs: number): Row => {
    const row = rows[kind].take(low, high);
    if (rows[kind].isNew()) beginRow(row, nowMs);
    else advanceRow(row, nowMs);
    return row;
  };
  const takeNetwork = (network: Address, nowMs: number): Row => take('address_block', hash.words(network, 4), hash.high(), nowMs);
  const isDue = ({ floats, at }: Row, nowMs: number): boolean => {
    const judgedMs = Math.max(floats[at + F.judgedMs] as number, floats[at + F.firstSeenMs] as number);
    if (nowMs - judgedMs < judgeEveryMs && (floats[at + F.sinceJudged] as number) < judgeEveryRequests) return false;
    floats[at + F.judgedMs] = nowMs;
    floats[at + F.sinceJudged] = 0;
    return true;
  };
  /** The hash of a subject as the rows know it; null for one that they cannot know. */
  const hashOf = ({ kind, id }: Subject): { readonly kind: WatchedKind; readonly low: number; readonly high: number } | null => {
    if (kind === 'workspace') return null;
    if (kind !== 'address_block') return { kind, low: hash.text(id), high: hash.high() };
    const network = parseNetwork(id);
    return network && { kind, low: hash.words(network, 4), high: hash.high() };
  };
  const accountOf = ({ floats, at }: Row, nowMs: number): AccountReading | null => {
    if (floats[at + F.madeMs] === 0) return null;
    const disposable = floats[at + F.disposable] as number;
    const domain = floats[at + F.madeDomain] as number;
    const [low, high] = [floats[at + F.madeNetworkLow] as number, floats[at + F.madeNetworkHigh] as number];
    const block = low === 0 && high === 0 ? null : rows.address_block.find(low, high);
    if (block) advanceRow(block, nowMs);
    return {
      isDisposable: disposable === 0 ? null : disposable === 1,
      networkNewAccounts:
        block && (block.floats[block.at + F.newAccounts] as number) + (block.floats[block.at + F.newAccounts + 1] as number),
      domainNewAccounts: domain === 0 ? null : domains.count(domain, nowMs),
    };
  };

  return {
    observe(observation, nowMs) {
      const network = observation.address && networkOf(observation.address);
      const place = observation.address && whereabouts.place(observation.address);
      const fact: Fact = {
        nowMs,
        startMs: nowMs - observation.durationMs,
        outcome: observation.outcome,
        tokens: observation.tokens,
        costMicroUsd: observation.costMicroUsd,
        template: observation.template,
        isNearLimit: observation.isNearLimit,
        isNewModel: releases.observe(observation.model, nowMs),
        network: network && hash.words(network, 4),
        country: place && countryNumber(place.country),
        coordinates: place && coordinatesOf(place),
        isDatacenter: observation.address && whereabouts.isDatacenter(observation.address),
        isVpn: observation.address && whereabouts.isVpn(observation.address),
      };
      let due = NOBODY;
      const observeCaller = (kind: 'organization' | 'key' | 'end_user', id: string): void => {
        const row = take(kind, hash.text(id), hash.high(), nowMs);
        observeRow({ row, fact, counter, distinct: fact.network });
        observePlace(row, fact);
        if (isDue(row, nowMs)) due = [...due, { kind, id }];
      };
      if (observation.organization !== null) observeCaller('organization', observation.organization);
      if (observation.key !== null) observeCaller('key', observation.key);
      if (observation.endUser !== null) observeCaller('end_user', observation.endUser);
      if (network) {
        const row = takeNetwork(network, nowMs);
        observeRow({ row, fact, counter, distinct: observation.key === null ? null : hash.text(observation.key) });
        if (isDue(row, nowMs)) due = [...due, { kind: 'address_block', id: networkText(network) }];
      }
      return due;
    },
    observeAccount({ organization, address, mailDomain, isDisposableMail }, nowMs) {
      let [low, high] = [0, 0];
      if (address) {
        const network = networkOf(address);
        [low, high] = [hash.words(network, 4), hash.high()];
        const { floats, at } = take('address_block', low, high, nowMs);
        const today = at + F.newAccounts + ((floats[at + F.day] as number) & 1);
        floats[today] = (floats[today] as number) + 1;
      }
      // Zero says that there is none, so no domain may be zero.
      const domain = mailDomain === null ? 0 : hash.text(mailDomain) || 1;
      if (domain !== 0) domains.add(domain, nowMs);
      const { floats, at } = take('organization', hash.text(organization), hash.high(), nowMs);
      floats[at + F.madeMs] = nowMs;
      floats[at + F.madeNetworkLow] = low;
      floats[at + F.madeNetworkHigh] = high;
      floats[at + F.madeDomain] = domain;
      floats[at + F.disposable] = isDisposableMail === null ? 0 : isDisposableMail ? 1 : 2;
    },
    noteRelease: (model, atMs) => releases.note(model, atMs),
    read(subject, nowMs) {
      const hashed = hashOf(subject);
      const row = hashed && rows[hashed.kind].find(hashed.low, hashed.high);
      if (!row) return null;
      advanceRow(row, nowMs);
      return readRow(row, {
        kind: hashed.kind,
        counter,
        threshold: thresholds(rows[hashed.kind].size),
        newModelShareOfAll: releases.shareOfAll(nowMs),
        account: hashed.kind === 'organization' ? accountOf(row, nowMs) : null,
      });
    },
    setOpenCase(subject, isOpen) {
      const hashed = hashOf(subject);
      return hashed !== null && rows[hashed.kind].pin(hashed.low, hashed.high, isOpen);
    },
    sketchText: (text) => sketcher.signature(text),
    get size() {
      const of = (kind: WatchedKind): SignalBook['size'][WatchedKind] => ({
        subjects: rows[kind].size,
        subjectsMax: subjectsMax[kind],
        evicted: rows[kind].evicted,
      });
      return { organization: of('organization'), key: of('key'), end_user: of('end_user'), address_block: of('address_block') };
    },
    get byteCount() {
      return WATCHED_KINDS.reduce((sum, kind) => sum + rows[kind].byteCount, 0);
    },
  };
}

/** Thresholds for the number of subjects there are, which moves in powers of two so that it is seldom solved for. */
function createThresholds(falseAlarmsPerDay: number): (size: number) => number {
  const known = new Map<number, number>();
  return (size) => {
    const keys = 2 ** Math.ceil(Math.log2(Math.max(TESTED_MIN, size)));
    const threshold = known.get(keys) ?? thresholdFor({ keys, testsPerDay: MINUTES_A_DAY, falseAlarmsPerDay });
    known.set(keys, threshold);
    return threshold;
  };
}

function coordinatesOf({ latitude, longitude }: Place): Coordinates | null {
  return latitude === null || longitude === null ? null : { latitude, longitude };
}
