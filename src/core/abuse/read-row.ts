import { baselineOf, changeOf } from './change-series.ts';
import { countOfAnscombe } from './cusum.ts';
import type { DistinctCounter } from './hyper-log-log.ts';
import { shareStandardError } from './precision.ts';
import {
  type BASES,
  COUNTRY_WORDS,
  countriesAt,
  DAYS_KEPT,
  F,
  type HITS,
  hitAt,
  sketchAt,
  squareAt,
  TEN_MINUTES,
  tenAt,
  W,
  weightAt,
} from './row-layout.ts';
import { isSignalOf, type Reading, SIGNAL_NAMES, type SignalName, type WatchedKind } from './signal-names.ts';
import type { Row } from './subject-rows.ts';
import { DAY_MS } from './advance-row.ts';

/** Requests, by their weight, that a share must be of before it says anything. */
export const SHARE_REQUESTS_MIN = 20;
/** And the weight itself: what is left of requests long past says nothing of now. */
const SHARE_WEIGHT_MIN = 5;
/** Hours with spend before the usual one is known. */
const SPEND_HOURS_MIN = 12;
/** The least usual hour, in micro-dollars, that spend is compared with: a tenth of a cent. */
const USUAL_SPEND_MIN = 1_000;
/** Whole days before a day's round can be told. */
const WHOLE_DAYS_MIN = 3;

/** What reading takes besides the row. */
export interface ReadContext {
  readonly kind: WatchedKind;
  readonly counter: DistinctCounter;
  /** CUSUM threshold for as many subjects as there are. */
  readonly threshold: number;
  /** `new_model_share` of all requests; null when that cannot be told. */
  readonly newModelShareOfAll: number | null;
  /** Of an organization; null for other subjects, and where nothing was said of it. */
  readonly account: AccountReading | null;
}

/** What is known of how an account was made, from where it was. */
export interface AccountReading {
  readonly isDisposable: boolean | null;
  readonly networkNewAccounts: number | null;
  readonly domainNewAccounts: { readonly count: number; readonly overMax: number } | null;
}

type Write = (name: SignalName, value: number | null, error?: number | null) => void;

/** Reads what a row says that is at the present. A signal that its kind of subject cannot have is null, like one of which nothing is known. */
export function readRow(row: Row, context: ReadContext): Reading {
  const values = Object.fromEntries(SIGNAL_NAMES.map((name) => [name, null])) as Record<SignalName, number | null>;
  const errors: Partial<Record<SignalName, number>> = {};
  const write: Write = (name, value, error = null) => {
    if (value === null || !isSignalOf(name, context.kind)) return;
    values[name] = value;
    if (error !== null) errors[name] = error;
  };
  readPace(row, context, write);
  readSpend(row, context, write);
  readPlaces(row, context, write);
  readShares(row, context, write);
  readAccounts(row, context, write);
  return { values, errors };
}

function readPace(row: Row, { threshold }: ReadContext, write: Write): void {
  const { floats, at, words, wordsAt } = row;
  write('requests_seen', floats[at + F.requests] as number);
  write('requests_per_minute', floats[at + F.lastMinuteRequests] as number);
  const usual = baselineOf(floats, at + F.velocity, 1);
  // The slope of the inverse of 2√(x + 3/8) at its mean carries the error over.
  write('requests_per_minute_usual', usual && countOfAnscombe(usual.mean), usual && (usual.mean / 2) * usual.standardError);
  const change = changeOf(floats, at + F.velocity);
  write('velocity_change', change === null ? null : change / threshold);
  write('tokens_hour', hourOf(row, 'tokens'));
  const days = Math.min(
    DAYS_KEPT - 1,
    (floats[at + F.day] as number) - Math.floor((floats[at + F.firstSeenMs] as number) / DAY_MS) - 1,
  );
  let hours = 0;
  for (let back = 1; back <= days; back++)
    hours += bitsOf(words[wordsAt + W.hours + (((floats[at + F.day] as number) - back) % DAYS_KEPT)] as number);
  write('hours_active_share', days < WHOLE_DAYS_MIN ? null : hours / (24 * days));
}

function readSpend(row: Row, { threshold }: ReadContext, write: Write): void {
  const { floats, at } = row;
  const isPriced = (floats[at + F.pricedMs] as number) > 0;
  const spend = isPriced ? hourOf(row, 'spend') : null;
  const usual = (floats[at + F.spendHours] as number) < SPEND_HOURS_MIN ? null : (floats[at + F.usualHourSpend] as number);
  write('spend_hour', spend);
  write('spend_hour_usual', usual);
  write('spend_ratio', spend === null || usual === null ? null : spend / Math.max(USUAL_SPEND_MIN, usual));
  const change = changeOf(floats, at + F.spend);
  write('spend_change', change === null ? null : change / threshold);
}

function readPlaces({ floats, at, words, wordsAt }: Row, { counter }: ReadContext, write: Write): void {
  const today = (floats[at + F.day] as number) & 1;
  const [now, before] = [wordsAt + sketchAt(today), wordsAt + sketchAt(1 - today)];
  const { count: distinct, isExact } = counter.countUnion(words, now, before);
  const yesterdays = counter.count(words, before);
  const errorOf = (count: number): number => (isExact ? 0 : count * counter.standardErrorRatio);
  write('distinct_networks', distinct === 0 ? null : distinct, errorOf(distinct));
  write('distinct_keys', distinct === 0 ? null : distinct, errorOf(distinct));
  // Of the difference of two estimates that share most of what they saw, this is the most it can be.
  write('new_networks', yesterdays === 0 ? null : Math.max(0, distinct - yesterdays), errorOf(distinct + yesterdays));
  let countries = 0;
  for (let word = 0; word < COUNTRY_WORDS; word++)
    countries += bitsOf(
      ((words[wordsAt + countriesAt(0) + word] as number) | (words[wordsAt + countriesAt(1) + word] as number)) >>> 0,
    );
  write('distinct_countries', countries === 0 ? null : countries);
  const isLocated = sumOf(floats, at + F.located, 2) > 0;
  write('impossible_travels', isLocated ? sumOf(floats, at + F.travels, 2) : null);
  write('travel_speed', isLocated ? Math.max(floats[at + F.speed] as number, floats[at + F.speed + 1] as number) : null);
  write('two_places', isLocated ? sumOf(floats, at + F.twoPlaces, 2) : null);
}

function readShares(row: Row, { newModelShareOfAll }: ReadContext, write: Write): void {
  const share = (name: SignalName, base: (typeof BASES)[number], hit: (typeof HITS)[number]): void => {
    const said = readShare(row, base, hit);
    write(name, said?.share ?? null, said?.standardError);
  };
  share('error_share', 'all', 'error');
  share('refusal_share', 'all', 'refusal');
  share('limited_share', 'all', 'limited');
  share('failed_authentication_share', 'all', 'unauthenticated');
  share('near_limit_share', 'limits', 'nearLimit');
  share('template_repeat_share', 'text', 'repeat');
  share('datacenter_share', 'datacenter', 'datacenter');
  share('vpn_share', 'vpn', 'vpn');
  const newModel = readShare(row, 'newModel', 'newModel');
  if (newModel !== null && newModelShareOfAll !== null) {
    write('new_model_share', newModel.share, newModel.standardError);
    write('new_model_excess', newModel.share - newModelShareOfAll, newModel.standardError);
  }
  write('failed_authentications_hour', hourOf(row, 'unauthenticated'));
}

function readAccounts({ floats, at }: Row, { account }: ReadContext, write: Write): void {
  write('new_accounts', sumOf(floats, at + F.newAccounts, 2));
  if (account === null) return;
  write('disposable_mail', account.isDisposable === null ? null : Number(account.isDisposable));
  write('network_new_accounts', account.networkNewAccounts);
  write('domain_new_accounts', account.domainNewAccounts?.count ?? null, account.domainNewAccounts?.overMax);
}

/** A share and its error, by the number of equal weights that would tell as much (Kish); null when those are too few. */
function readShare(
  { floats, at }: Row,
  base: (typeof BASES)[number],
  hit: (typeof HITS)[number],
): { readonly share: number; readonly standardError: number } | null {
  const weight = floats[at + weightAt(base)] as number;
  const squares = floats[at + squareAt(base)] as number;
  const requests = squares > 0 ? (weight * weight) / squares : 0;
  if (requests < SHARE_REQUESTS_MIN || weight < SHARE_WEIGHT_MIN) return null;
  const share = Math.min(1, (floats[at + hitAt(hit)] as number) / weight);
  return { share, standardError: shareStandardError(share * requests, requests) };
}

function hourOf({ floats, at }: Row, what: Parameters<typeof tenAt>[1]): number {
  let sum = 0;
  for (let ten = 0; ten < TEN_MINUTES; ten++) sum += floats[at + tenAt(ten, what)] as number;
  return sum;
}

function sumOf(floats: Float64Array, from: number, count: number): number {
  let sum = 0;
  for (let place = from; place < from + count; place++) sum += floats[place] as number;
  return sum;
}

function bitsOf(word: number): number {
  let bits = word - ((word >>> 1) & 0x5555_5555);
  bits = (bits & 0x3333_3333) + ((bits >>> 2) & 0x3333_3333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}
