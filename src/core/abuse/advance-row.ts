import { observeChange, restChange } from './change-series.ts';
import { anscombe } from './cusum.ts';
import { ewma } from './ewma.ts';
import {
  BASES,
  COUNTRY_WORDS,
  countriesAt,
  DAYS_KEPT,
  F,
  HITS,
  SKETCH_WORDS,
  sketchAt,
  TEN_MINUTES,
  tenAt,
  W,
} from './row-layout.ts';
import type { Row } from './subject-rows.ts';

const MINUTE_MS = 60_000;
const TEN_MS = 600_000;
const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;
/** A request counts half as much in a share after this long. */
export const SHARE_HALF_LIFE_MS = 1_800_000;
/** λ of the usual spend of an hour: about the last two days of hours in use. */
const SPEND_HOUR_WEIGHT = 1 / 24;
/** Minutes of spend are taken by their logarithm, whose spread is seldom below this. */
const LOG_SPEND_SIGMA_MIN = 0.5;

/** Gives a new row its beginning. */
export function beginRow({ floats, at }: Row, nowMs: number): void {
  floats[at + F.firstSeenMs] = nowMs;
  floats[at + F.lastSeenMs] = nowMs;
  floats[at + F.minute] = Math.floor(nowMs / MINUTE_MS);
  floats[at + F.ten] = Math.floor(nowMs / TEN_MS);
  floats[at + F.hour] = Math.floor(nowMs / HOUR_MS);
  floats[at + F.day] = Math.floor(nowMs / DAY_MS);
}

/**
 * Brings a row to the present: closes the minute, hour and day that are over, forgets what is too old, and lets shares age. A clock
 * that stepped back changes nothing, and what comes then counts for the latest minute there was.
 */
export function advanceRow(row: Row, nowMs: number): void {
  const { floats, at } = row;
  const passedMs = nowMs - (floats[at + F.lastSeenMs] as number);
  if (passedMs <= 0) return;
  floats[at + F.lastSeenMs] = nowMs;
  age(row, passedMs);
  const minute = Math.floor(nowMs / MINUTE_MS);
  if (minute === floats[at + F.minute]) return;
  closeMinute(row, minute);
  const ten = Math.floor(nowMs / TEN_MS);
  if (ten === floats[at + F.ten]) return;
  closeTen(row, ten);
  const hour = Math.floor(nowMs / HOUR_MS);
  if (hour === floats[at + F.hour]) return;
  closeHour(row, hour);
  const day = Math.floor(nowMs / DAY_MS);
  if (day !== floats[at + F.day]) closeDay(row, day);
}

function age({ floats, at }: Row, passedMs: number): void {
  const factor = 2 ** (-passedMs / SHARE_HALF_LIFE_MS);
  const squared = factor * factor;
  for (let place = at + F.weights; place < at + F.weights + BASES.length + HITS.length; place++)
    floats[place] = (floats[place] as number) * factor;
  for (let place = at + F.squares; place < at + F.squares + BASES.length; place++)
    floats[place] = (floats[place] as number) * squared;
}

function closeMinute({ floats, at }: Row, minute: number): void {
  const requests = floats[at + F.minuteRequests] as number;
  const spend = floats[at + F.minuteSpend] as number;
  const idle = minute - (floats[at + F.minute] as number) - 1;
  // Only minutes in use are compared with each other: else each morning would be an alarm.
  if (requests > 0) observeChange(floats, at + F.velocity, anscombe(requests), 1);
  if (spend > 0) observeChange(floats, at + F.spend, Math.log1p(spend), LOG_SPEND_SIGMA_MIN);
  if (idle > 0) {
    restChange(floats, at + F.velocity, idle);
    restChange(floats, at + F.spend, idle);
  }
  floats[at + F.lastMinuteRequests] = idle === 0 ? requests : 0;
  floats[at + F.minuteRequests] = 0;
  floats[at + F.minuteSpend] = 0;
  floats[at + F.minute] = minute;
}

function closeTen({ floats, at }: Row, ten: number): void {
  const before = floats[at + F.ten] as number;
  for (let passed = Math.max(before + 1, ten - TEN_MINUTES + 1); passed <= ten; passed++) {
    const place = at + tenAt(passed, 'tokens');
    floats.fill(0, place, place + 3);
  }
  floats[at + F.ten] = ten;
}

function closeHour({ floats, at }: Row, hour: number): void {
  const spend = floats[at + F.hourSpend] as number;
  if (spend > 0) {
    const hours = floats[at + F.spendHours] as number;
    const weight = Math.max(1 / (hours + 1), SPEND_HOUR_WEIGHT);
    floats[at + F.usualHourSpend] = ewma(floats[at + F.usualHourSpend] as number, spend, weight);
    floats[at + F.spendHours] = hours + 1;
  }
  floats[at + F.hourSpend] = 0;
  floats[at + F.hour] = hour;
}

function closeDay(row: Row, day: number): void {
  const { floats, at, words, wordsAt } = row;
  const before = floats[at + F.day] as number;
  forgetDay(row, day & 1);
  if (day > before + 1) forgetDay(row, (day + 1) & 1);
  for (let passed = Math.max(before + 1, day - DAYS_KEPT + 1); passed <= day; passed++)
    words[wordsAt + W.hours + (passed % DAYS_KEPT)] = 0;
  floats[at + F.day] = day;
}

function forgetDay({ floats, at, words, wordsAt }: Row, parity: number): void {
  words.fill(0, wordsAt + sketchAt(parity), wordsAt + sketchAt(parity) + SKETCH_WORDS);
  words.fill(0, wordsAt + countriesAt(parity), wordsAt + countriesAt(parity) + COUNTRY_WORDS);
  for (const field of [F.located, F.travels, F.speed, F.twoPlaces, F.newAccounts]) floats[at + field + parity] = 0;
}
