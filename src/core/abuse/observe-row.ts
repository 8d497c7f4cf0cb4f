import { type Coordinates, judgeMovement } from './great-circle.ts';
import type { DistinctCounter } from './hyper-log-log.ts';
import { equalBytes, equalBytesFor, SIGNATURE_WORDS } from './min-hash.ts';
import type { ObservedOutcome } from './observation.ts';
import { countriesAt, DAYS_KEPT, F, hitAt, sketchAt, squareAt, TEMPLATES, tenAt, W, weightAt } from './row-layout.ts';
import type { Row } from './subject-rows.ts';

/** One request, made ready once for all the subjects it is counted on. */
export interface Fact {
  readonly nowMs: number;
  readonly startMs: number;
  readonly outcome: ObservedOutcome;
  readonly tokens: number;
  readonly costMicroUsd: number | null;
  readonly template: ArrayLike<number> | null;
  readonly isNearLimit: boolean | null;
  /** Whether its model was in its first day; null while no model is. */
  readonly isNewModel: boolean | null;
  /** 32 keyed bits of the network it came from. */
  readonly network: number | null;
  /** Its country, by {@link countryNumber}. */
  readonly country: number | null;
  readonly coordinates: Coordinates | null;
  readonly isDatacenter: boolean | null;
  readonly isVpn: boolean | null;
}

const BASE = {
  all: weightAt('all'),
  limits: weightAt('limits'),
  text: weightAt('text'),
  datacenter: weightAt('datacenter'),
  vpn: weightAt('vpn'),
  newModel: weightAt('newModel'),
} as const;
/** From a base's weight to the sum of its squares. */
const TO_SQUARE = squareAt('all') - weightAt('all');
const HIT = {
  caller_error: hitAt('error'),
  refused: hitAt('refusal'),
  limited: hitAt('limited'),
  unauthenticated: hitAt('unauthenticated'),
} as const;
const NEAR_LIMIT = hitAt('nearLimit');
const REPEAT = hitAt('repeat');
const DATACENTER = hitAt('datacenter');
const VPN = hitAt('vpn');
const NEW_MODEL = hitAt('newModel');

/** Two texts are of one template when they have half of their shingles in common. */
const TEMPLATE_SIMILARITY = 0.5;
const EQUAL_BYTES_MIN = equalBytesFor(TEMPLATE_SIMILARITY);

/** Counts a request on one subject whose row is at the present. */
export function observeRow({
  row,
  fact,
  counter,
  distinct,
}: {
  readonly row: Row;
  readonly fact: Fact;
  readonly counter: DistinctCounter;
  /** What is counted for being distinct: of a caller its network, of a network its key. */
  readonly distinct: number | null;
}): void {
  const { floats, at, words, wordsAt } = row;
  const today = (floats[at + F.day] as number) & 1;
  add(row, F.requests, 1);
  add(row, F.sinceJudged, 1);
  add(row, F.minuteRequests, 1);
  const ten = floats[at + F.ten] as number;
  add(row, tenAt(ten, 'tokens'), fact.tokens);
  if (fact.costMicroUsd !== null) {
    add(row, F.minuteSpend, fact.costMicroUsd);
    add(row, F.hourSpend, fact.costMicroUsd);
    add(row, tenAt(ten, 'spend'), fact.costMicroUsd);
    floats[at + F.pricedMs] = fact.nowMs;
  }
  weigh(row, BASE.all);
  switch (fact.outcome) {
    case 'answered':
    case 'other':
      break;
    case 'unauthenticated':
      add(row, tenAt(ten, 'unauthenticated'), 1);
      add(row, HIT.unauthenticated, 1);
      break;
    default:
      add(row, HIT[fact.outcome], 1);
  }
  share(row, BASE.limits, NEAR_LIMIT, fact.isNearLimit);
  share(row, BASE.datacenter, DATACENTER, fact.isDatacenter);
  share(row, BASE.vpn, VPN, fact.isVpn);
  share(row, BASE.newModel, NEW_MODEL, fact.isNewModel);
  if (fact.template !== null) share(row, BASE.text, REPEAT, rememberTemplate(row, fact.template));
  // By the row's own hour, so that a clock that stepped back marks no other.
  const hour = floats[at + F.hour] as number;
  const hourWord = wordsAt + W.hours + ((floats[at + F.day] as number) % DAYS_KEPT);
  words[hourWord] = (words[hourWord] as number) | (1 << (hour % 24));
  if (distinct !== null) counter.add(words, wordsAt + sketchAt(today), distinct);
  if (fact.country !== null) {
    const word = wordsAt + countriesAt(today) + (fact.country >>> 5);
    words[word] = (words[word] as number) | (1 << (fact.country & 31));
  }
}

/** Follows a caller from place to place; for networks, which do not move, it is not called. */
export function observePlace({ floats, at }: Row, { network, coordinates, startMs, nowMs }: Fact): void {
  if (network === null || coordinates === null) return;
  const today = (floats[at + F.day] as number) & 1;
  const leftMs = floats[at + F.placeMs] as number;
  if (leftMs > 0 && floats[at + F.placeNetwork] !== network) {
    const from = { latitude: floats[at + F.latitude] as number, longitude: floats[at + F.longitude] as number };
    const movement = judgeMovement({ from, leftMs, to: coordinates, arrivedMs: startMs });
    if (movement.kind === 'two_places') floats[at + F.twoPlaces + today] = (floats[at + F.twoPlaces + today] as number) + 1;
    if (movement.kind === 'impossible') {
      floats[at + F.travels + today] = (floats[at + F.travels + today] as number) + 1;
      floats[at + F.speed + today] = Math.max(floats[at + F.speed + today] as number, movement.kmPerHour);
    }
  }
  floats[at + F.located + today] = (floats[at + F.located + today] as number) + 1;
  floats[at + F.placeMs] = nowMs;
  floats[at + F.placeNetwork] = network;
  floats[at + F.latitude] = coordinates.latitude;
  floats[at + F.longitude] = coordinates.longitude;
}

/** Two upper-case letters as a number from 0 to 675; null for anything else. */
export function countryNumber(country: string): number | null {
  const [first, second] = [country.charCodeAt(0) - 65, country.charCodeAt(1) - 65];
  return country.length === 2 && first >= 0 && first < 26 && second >= 0 && second < 26 ? first * 26 + second : null;
}

/** @returns whether the text is like one of the last few templates; if not, it takes the place of the one not met for longest */
function rememberTemplate({ floats, at, words, wordsAt }: Row, template: ArrayLike<number>): boolean {
  // A stamp that wraps after 4 billion requests is no worse than one template forgotten early.
  const now = (floats[at + F.requests] as number) >>> 0;
  let [oldest, newest] = [0, 0];
  for (let place = 1; place < TEMPLATES; place++) {
    const met = words[wordsAt + W.templateMet + place] as number;
    if (met < (words[wordsAt + W.templateMet + oldest] as number)) oldest = place;
    if (met > (words[wordsAt + W.templateMet + newest] as number)) newest = place;
  }
  // The last one first: who repeats a template mostly repeats that one.
  for (let step = 0; step < TEMPLATES; step++) {
    const place = (newest + step) % TEMPLATES;
    if (words[wordsAt + W.templateMet + place] === 0) continue;
    const from = wordsAt + W.templates + place * SIGNATURE_WORDS;
    let equal = 0;
    for (let word = 0; word < SIGNATURE_WORDS; word++)
      equal += equalBytes((words[from + word] as number) ^ (template[word] as number));
    if (equal < EQUAL_BYTES_MIN) continue;
    words[wordsAt + W.templateMet + place] = now;
    return true;
  }
  const to = wordsAt + W.templates + oldest * SIGNATURE_WORDS;
  for (let word = 0; word < SIGNATURE_WORDS; word++) words[to + word] = template[word] as number;
  words[wordsAt + W.templateMet + oldest] = now;
  return false;
}

function add({ floats, at }: Row, field: number, amount: number): void {
  floats[at + field] = (floats[at + field] as number) + amount;
}

function weigh(row: Row, base: number): void {
  add(row, base, 1);
  add(row, base + TO_SQUARE, 1);
}

/** Counts one request in a share; one of which it is not known is in neither part. */
function share(row: Row, base: number, hit: number, isHit: boolean | null): void {
  if (isHit === null) return;
  weigh(row, base);
  if (isHit) add(row, hit, 1);
}
