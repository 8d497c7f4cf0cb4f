import { SERIES_FLOATS } from './change-series.ts';
import { createDistinctCounter } from './hyper-log-log.ts';
import { SIGNATURE_WORDS } from './min-hash.ts';
import { BYTES_BESIDES } from './subject-rows.ts';

/** Distinct networks of a caller, distinct keys of a network: 256 registers, 6.5 % above 32. */
export const createNetworkCounter = (): ReturnType<typeof createDistinctCounter> => createDistinctCounter(8);
const SKETCH_WORDS = createNetworkCounter().wordCount;

export const TEN_MINUTES = 6;
export const DAYS_KEPT = 8;
export const TEMPLATES = 4;
/** One bit for each two letters. */
const COUNTRY_WORDS = Math.ceil((26 * 26) / 32);

/** Requests that a share is of, each weighed by 2^(−age/half-life): their weight, and the sum of its squares. */
export const BASES = ['all', 'limits', 'text', 'datacenter', 'vpn', 'newModel'] as const;
/** What the shares count among them. */
export const HITS = [
  'error',
  'refusal',
  'limited',
  'unauthenticated',
  'nearLimit',
  'repeat',
  'datacenter',
  'vpn',
  'newModel',
] as const;

/** What is counted by ten minutes: tokens, spend and failed authentications lie side by side, so that one cache line holds all three. */
const TEN_FIELDS = 3;
const SHARES = 12;
const TENS = SHARES + 2 * BASES.length + HITS.length;
const SERIES = TENS + TEN_MINUTES * TEN_FIELDS;
const PLACE = SERIES + 2 * SERIES_FLOATS;
const MADE = PLACE + 6;

/**
 * Where each number of a subject stands among its floats, in the order in which a request touches them: reading memory is most of
 * what an observation costs. What is kept for two days has two places, that of a day being its parity.
 */
export const F = {
  lastSeenMs: 0,
  judgedMs: 1,
  sinceJudged: 2,
  requests: 3,
  /** The open minute, ten minutes, hour and day, by number since 1970, and what came in them. */
  minute: 4,
  minuteRequests: 5,
  minuteSpend: 6,
  ten: 7,
  hour: 8,
  hourSpend: 9,
  day: 10,
  pricedMs: 11,
  /** `BASES`, then `HITS`, which age alike; then the squares, which age twice as fast. */
  weights: SHARES,
  hits: SHARES + BASES.length,
  squares: SHARES + BASES.length + HITS.length,
  tens: TENS,
  velocity: SERIES,
  spend: SERIES + SERIES_FLOATS,
  /** Where it was last, if that is known: when, its network, and its coordinates. */
  placeMs: PLACE,
  placeNetwork: PLACE + 1,
  latitude: PLACE + 2,
  longitude: PLACE + 3,
  located: PLACE + 4,
  firstSeenMs: MADE,
  /** Requests in the minute before. */
  lastMinuteRequests: MADE + 1,
  usualHourSpend: MADE + 2,
  spendHours: MADE + 3,
  /** Organizations: how the account was made. 0 when that was never said. */
  madeMs: MADE + 4,
  disposable: MADE + 5,
  madeNetworkLow: MADE + 6,
  madeNetworkHigh: MADE + 7,
  madeDomain: MADE + 8,
  travels: MADE + 9,
  speed: MADE + 11,
  twoPlaces: MADE + 13,
  newAccounts: MADE + 15,
} as const;
export const FLOAT_COUNT = F.newAccounts + 2;

/** Where each 32-bit word of a subject stands: signatures first, 64 bytes each, so that a line of cache holds one or two. */
export const W = {
  templates: 0,
  /** When each template was last met, by the count of requests; 0 for none. */
  templateMet: TEMPLATES * SIGNATURE_WORDS,
  hours: TEMPLATES * SIGNATURE_WORDS + TEMPLATES,
  countries: TEMPLATES * SIGNATURE_WORDS + TEMPLATES + DAYS_KEPT,
  sketches: TEMPLATES * SIGNATURE_WORDS + TEMPLATES + DAYS_KEPT + 2 * COUNTRY_WORDS,
} as const;
export const WORD_COUNT = W.sketches + 2 * SKETCH_WORDS;
export const sketchAt = (dayParity: number): number => W.sketches + dayParity * SKETCH_WORDS;
export const countriesAt = (dayParity: number): number => W.countries + dayParity * COUNTRY_WORDS;
export { COUNTRY_WORDS, SKETCH_WORDS };

/** What one subject costs, whatever it does: its numbers, and its place in the index. */
export const BYTES_PER_SUBJECT = 8 * FLOAT_COUNT + 4 * WORD_COUNT + BYTES_BESIDES;

/** The place of what came in the ten minutes with this number since 1970. */
export const tenAt = (ten: number, what: 'tokens' | 'spend' | 'unauthenticated'): number =>
  F.tens + (ten % TEN_MINUTES) * TEN_FIELDS + (what === 'tokens' ? 0 : what === 'spend' ? 1 : 2);

/** The place of a base or a hit among the floats. */
export const weightAt = (base: (typeof BASES)[number]): number => F.weights + BASES.indexOf(base);
export const squareAt = (base: (typeof BASES)[number]): number => F.squares + BASES.indexOf(base);
export const hitAt = (hit: (typeof HITS)[number]): number => F.hits + HITS.indexOf(hit);
