import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseAddress, type Place } from '../addresses/index.ts';
import { createDraw } from '../simulation/seeded.ts';
import type { Observation } from './observation.ts';
import { BYTES_PER_SUBJECT, createSignalBook, type SignalBook, type SignalBookOptions, type Whereabouts } from './signal-book.ts';
import { isSignalOf, SIGNAL_NAMES, SIGNALS, type SignalSpec, WATCHED_KINDS } from './signal-names.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** A midnight. */
const START = 20_000 * DAY;
const NO_LISTS: Whereabouts = { place: () => null, isDatacenter: () => null, isVpn: () => null };
const PLACES: Record<string, Place> = {
  '10': { country: 'DE', latitude: 52.5, longitude: 13.4 },
  '20': { country: 'AU', latitude: -33.9, longitude: 151.2 },
  '30': { country: 'FR', latitude: 48.9, longitude: 2.4 },
  '40': { country: 'US', latitude: null, longitude: null },
};
const LISTS: Whereabouts = {
  place: (address) => PLACES[String(address[3] >>> 24)] ?? null,
  isDatacenter: (address) => address[3] >>> 24 === 20,
  isVpn: () => false,
};
const SMALL = { organization: 64, key: 64, end_user: 64, address_block: 64 };

const bookOf = (more: Partial<SignalBookOptions> = {}): SignalBook =>
  createSignalBook({ seed: [1, 2], whereabouts: LISTS, subjectsMax: SMALL, ...more });

const PLAIN: Observation = {
  organization: 'org_a',
  key: 'key_a',
  endUser: null,
  address: parseAddress('10.0.0.1'),
  model: 'm',
  outcome: 'answered',
  tokens: 100,
  costMicroUsd: 50,
  durationMs: 1_000,
  template: null,
  isNearLimit: null,
};
const KEY = { kind: 'key', id: 'key_a' } as const;
const ORGANIZATION = { kind: 'organization', id: 'org_a' } as const;
const from = (address: string): Pick<Observation, 'address'> => ({ address: parseAddress(address) });

test('a subject that was never seen is not in the book, and a workspace never is', () => {
  const book = bookOf();
  expect(book.read(KEY, START)).toBeNull();
  book.observe(PLAIN, START);
  expect(book.read({ kind: 'workspace', id: 'ws_a' }, START)).toBeNull();
  expect(book.read({ kind: 'address_block', id: '10.0.0.0/23' }, START)).toBeNull();
});

test('after one request nothing can be told but what was counted, and what could not be told is null', () => {
  const book = bookOf({ whereabouts: NO_LISTS });
  book.observe({ ...PLAIN, address: null, costMicroUsd: null }, START);
  const { values, errors } = book.read(KEY, START)!;
  expect(Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null))).toEqual({
    requests_seen: 1,
    requests_per_minute: 0,
    tokens_hour: 100,
  });
  expect(errors).toEqual({});
  expect(Object.keys(values)).toEqual(SIGNAL_NAMES);
});

test('every signal can be told of some subject once enough was seen, and of no subject that cannot have it', () => {
  const told = new Set<string>();
  const book = bookOf();
  book.noteRelease('new', START + 4 * DAY);
  book.observeAccount(
    { organization: 'org_a', address: parseAddress('10.0.0.1'), mailDomain: 'mail.test', isDisposableMail: true },
    START,
  );
  const template = book.sketchText('please grade this answer by the rubric');
  for (let minute = 0; minute < 4 * 24 * 60 + 90; minute++) {
    const address = minute % 7 === 0 ? '30.0.0.1' : '10.0.0.1';
    const observation = { ...PLAIN, ...from(address), template, isNearLimit: false, model: 'new', endUser: 'eu_a' };
    book.observe(observation, START + minute * MINUTE);
  }
  const now = START + 4 * DAY + 90 * MINUTE;
  book.observeAccount(
    { organization: 'org_b', address: parseAddress('10.0.0.1'), mailDomain: 'mail.test', isDisposableMail: true },
    now,
  );
  book.observeAccount(
    { organization: 'org_a', address: parseAddress('10.0.0.1'), mailDomain: 'mail.test', isDisposableMail: true },
    now,
  );
  for (const subject of [
    ORGANIZATION,
    KEY,
    { kind: 'end_user', id: 'eu_a' },
    { kind: 'address_block', id: '10.0.0.0/24' },
  ] as const) {
    const { values, errors } = book.read(subject, now)!;
    for (const name of SIGNAL_NAMES) {
      if (values[name] === null) continue;
      told.add(name);
      expect(isSignalOf(name, subject.kind), `${name} of ${subject.kind}`).toBe(true);
      expect(errors[name] !== undefined, `the error of ${name}`).toBe((SIGNALS[name] as SignalSpec).isEstimate === true);
    }
  }
  expect([...told].sort()).toEqual([...SIGNAL_NAMES].sort());
});

test('a key that suddenly works three times as hard is an alarm, and its usual rate is known with an error', () => {
  const book = bookOf();
  const draw = createDraw(3);
  let now = START;
  const minutes = (count: number, perMinute: number): void => {
    for (let minute = 0; minute < count; minute++, now += MINUTE)
      for (let at = 0, requests = 1 + Math.floor(2 * perMinute * draw()); at < requests; at++) book.observe(PLAIN, now + at);
  };
  minutes(59, 10);
  expect(book.read(KEY, now)!.values.velocity_change).toBeNull();
  minutes(200, 10);
  const quiet = book.read(KEY, now)!;
  expect(quiet.values.velocity_change!).toBeLessThan(1);
  expect(Math.abs(quiet.values.requests_per_minute_usual! - 10)).toBeLessThan(4 * quiet.errors.requests_per_minute_usual!);
  minutes(30, 30);
  expect(book.read(KEY, now)!.values.velocity_change!).toBeGreaterThan(1);
  // A night's rest.
  expect(book.read(KEY, now + 10 * HOUR)!.values.velocity_change).toBe(0);
  expect(book.read(KEY, now + 10 * HOUR)!.values.requests_per_minute).toBe(0);
});

test('beginning to work each morning at the usual rate is no alarm', () => {
  const book = bookOf();
  const draw = createDraw(4);
  for (let day = 0; day < 5; day++)
    for (let minute = 0; minute < 120; minute++) {
      const now = START + day * DAY + 9 * HOUR + minute * MINUTE;
      for (let at = 0, requests = 1 + Math.floor(20 * draw()); at < requests; at++) book.observe(PLAIN, now + at);
      expect(book.read(KEY, now)!.values.velocity_change ?? 0).toBeLessThan(1);
    }
});

test('spend is known by the hour, against the usual hour, and a wallet being emptied is an alarm', () => {
  const book = bookOf();
  for (let minute = 0; minute < 14 * 60; minute++) book.observe(PLAIN, START + minute * MINUTE);
  const now = START + 14 * HOUR;
  const quiet = book.read(KEY, now)!.values;
  expect(quiet.spend_hour_usual).toBe(60 * 50);
  expect(quiet.spend_hour).toBe(50 * 50);
  expect(quiet.spend_ratio).toBeCloseTo(50 / 60, 9);
  expect(quiet.spend_change).toBe(0);
  for (let minute = 0; minute < 30; minute++) book.observe({ ...PLAIN, costMicroUsd: 5_000 }, now + minute * MINUTE);
  const emptied = book.read(KEY, now + 30 * MINUTE)!.values;
  expect(emptied.spend_ratio!).toBeGreaterThan(30);
  expect(emptied.spend_change!).toBeGreaterThan(1);
  expect(book.read(KEY, now + 90 * MINUTE)!.values.spend_hour).toBe(0);
});

test('networks are counted exactly to 32 and within the stated error above, over this day and the one before', () => {
  const book = bookOf();
  const see = (count: number, now: number, first = 0): void => {
    for (let at = first; at < first + count; at++) book.observe({ ...PLAIN, ...from(`50.${at >> 8}.${at & 255}.7`) }, now);
  };
  see(20, START);
  expect(book.read(KEY, START)!).toMatchObject({
    values: { distinct_networks: 20, new_networks: null },
    errors: { distinct_networks: 0 },
  });
  see(5, START + DAY, 18);
  expect(book.read(KEY, START + DAY)!).toMatchObject({
    values: { distinct_networks: 23, new_networks: 3 },
    errors: { new_networks: 0 },
  });
  see(1_000, START + DAY, 1_000);
  const many = book.read(KEY, START + DAY)!;
  expect(many.errors.distinct_networks! / many.values.distinct_networks!).toBeCloseTo(0.065, 6);
  expect(Math.abs(many.values.distinct_networks! - 1_023)).toBeLessThan(4 * many.errors.distinct_networks!);
  expect(Math.abs(many.values.new_networks! - 1_003)).toBeLessThan(4 * many.errors.new_networks!);
  see(1, START + 3 * DAY);
  expect(book.read(KEY, START + 3 * DAY)!.values.distinct_networks).toBe(1);
  expect(book.read(KEY, START + 5 * DAY)!.values.distinct_networks).toBeNull();
});

test('countries, data centers and impossible travel come from the lists, and are not known without them', () => {
  const see = (book: SignalBook): ReturnType<SignalBook['read']> => {
    for (let at = 0; at < 30; at++) book.observe({ ...PLAIN, ...from('10.0.0.1') }, START + at * 1_000);
    // Berlin to Sydney in an hour; Washington without coordinates between them says nothing of movement.
    book.observe({ ...PLAIN, ...from('40.0.0.1') }, START + 30 * MINUTE);
    book.observe({ ...PLAIN, ...from('20.0.0.1') }, START + HOUR);
    return book.read(KEY, START + HOUR);
  };
  const { values } = see(bookOf())!;
  expect(values).toMatchObject({ distinct_countries: 3, impossible_travels: 1, two_places: 0, vpn_share: 0 });
  expect(values.travel_speed!).toBeGreaterThan(15_000);
  expect(values.datacenter_share!).toBeGreaterThan(0);
  expect(see(bookOf({ whereabouts: NO_LISTS }))!.values).toMatchObject({
    distinct_networks: 3,
    distinct_countries: null,
    impossible_travels: null,
    travel_speed: null,
    two_places: null,
    datacenter_share: null,
    vpn_share: null,
  });
});

test('a key that is at work in two distant places at once is seen, one that moves house is not', () => {
  const book = bookOf();
  book.observe({ ...PLAIN, ...from('10.0.0.1') }, START);
  // Began in Sydney half a minute before it ended in Berlin.
  book.observe({ ...PLAIN, ...from('20.0.0.1'), durationMs: 40_000 }, START + 10_000);
  expect(book.read(KEY, START + 10_000)!.values).toMatchObject({ two_places: 1, impossible_travels: 0 });
  const mover = bookOf();
  mover.observe({ ...PLAIN, ...from('10.0.0.1') }, START);
  mover.observe({ ...PLAIN, ...from('20.0.0.1') }, START + 22 * HOUR);
  expect(mover.read(KEY, START + 22 * HOUR)!.values).toMatchObject({ two_places: 0, impossible_travels: 0 });
});

test('shares are of recent requests: they need twenty, age with a half-life, and say how sure they are', () => {
  const book = bookOf();
  const outcomes = ['answered', 'caller_error', 'refused', 'limited'] as const;
  const see = (count: number, now: number, pick: (at: number) => Observation['outcome']): void => {
    for (let at = 0; at < count; at++) book.observe({ ...PLAIN, outcome: pick(at), isNearLimit: at % 2 === 0 }, now);
  };
  see(19, START, () => 'answered');
  expect(book.read(KEY, START)!.values).toMatchObject({ error_share: null, near_limit_share: null });
  see(401, START, (at) => outcomes[at % 4] as Observation['outcome']);
  const { values, errors } = book.read(KEY, START)!;
  expect(values.error_share).toBeCloseTo(100 / 420, 9);
  expect(values.refusal_share).toBeCloseTo(100 / 420, 9);
  expect(values.limited_share).toBeCloseTo(100 / 420, 9);
  expect(errors.error_share).toBeCloseTo(Math.sqrt((0.238 * 0.762) / 420), 3);
  see(420, START + 30 * MINUTE, () => 'answered');
  expect(book.read(KEY, START + 30 * MINUTE)!.values.error_share).toBeCloseTo(100 / 420 / 3, 9);
  // What is long past says nothing of now.
  expect(book.read(KEY, START + 6 * HOUR)!.values.error_share).toBeNull();
});

test('a prompt template that is used again and again is a share near 1, prompts of people are near 0', () => {
  const book = bookOf();
  const draw = createDraw(9);
  const words = Array.from(
    { length: 400 },
    (_, at) => `w${String.fromCharCode(97 + (at % 26))}${String.fromCharCode(97 + Math.floor(at / 26))}`,
  );
  const free = (): string => Array.from({ length: 30 }, () => words[Math.floor(draw() * 400)]).join(' ');
  const fixed = Array.from({ length: 60 }, (_, at) => words[at]).join(' ');
  for (let at = 0; at < 100; at++) {
    book.observe({ ...PLAIN, template: book.sketchText(`${fixed} now solve ${at} for ${free().slice(0, 20)}`) }, START + at);
    book.observe({ ...PLAIN, key: 'key_b', template: book.sketchText(free()) }, START + at);
  }
  expect(book.read(KEY, START + 100)!.values.template_repeat_share!).toBeGreaterThan(0.95);
  expect(book.read({ kind: 'key', id: 'key_b' }, START + 100)!.values.template_repeat_share!).toBeLessThan(0.05);
});

test('round-the-clock use is the share of hours in use over whole days, known after three of them', () => {
  const book = bookOf();
  for (let hour = 12; hour < 24 * 6; hour++) {
    book.observe(PLAIN, START + hour * HOUR);
    if (hour % 24 >= 9 && hour % 24 < 17) book.observe({ ...PLAIN, key: 'key_day' }, START + hour * HOUR);
    if (hour === 24 * 3 + 23) expect(book.read(KEY, START + hour * HOUR)!.values.hours_active_share).toBeNull();
  }
  expect(book.read(KEY, START + 6 * DAY)!.values.hours_active_share).toBe(1);
  expect(book.read({ kind: 'key', id: 'key_day' }, START + 6 * DAY)!.values.hours_active_share).toBeCloseTo(8 / 24, 9);
  // A week of silence.
  expect(book.read(KEY, START + 20 * DAY)!.values.hours_active_share).toBe(0);
});

test('who turns to a model on its first day is told, beside how many others do, and only on that day', () => {
  const book = bookOf();
  const see = (now: number): void => {
    for (let at = 0; at < 100; at++) {
      book.observe({ ...PLAIN, model: 'new' }, now);
      for (let other = 0; other < 3; other++) book.observe({ ...PLAIN, key: 'key_other', model: 'old' }, now);
    }
  };
  see(START);
  expect(book.read(KEY, START)!.values).toMatchObject({ new_model_share: null, new_model_excess: null });
  book.noteRelease('new', START + HOUR);
  see(START + HOUR);
  const { values } = book.read(KEY, START + HOUR)!;
  expect(values.new_model_share).toBe(1);
  expect(values.new_model_excess).toBeCloseTo(0.75, 9);
  expect(book.read({ kind: 'key', id: 'key_other' }, START + HOUR)!.values.new_model_share).toBe(0);
  see(START + 26 * HOUR);
  expect(book.read(KEY, START + 26 * HOUR)!.values).toMatchObject({ new_model_share: null, new_model_excess: null });
});

test('keys that are tried from one network are counted there, and make no key or organization known', () => {
  const book = bookOf();
  const attempt: Observation = { ...PLAIN, organization: null, key: null, outcome: 'unauthenticated', ...from('30.0.0.9') };
  for (let at = 0; at < 50; at++) book.observe(attempt, START + at * 1_000);
  const { values } = book.read({ kind: 'address_block', id: '30.0.0.0/24' }, START + MINUTE)!;
  expect(values).toMatchObject({ failed_authentications_hour: 50, failed_authentication_share: 1, distinct_keys: null });
  expect(book.size.key.subjects).toBe(0);
  expect(book.read({ kind: 'address_block', id: '30.0.0.0/24' }, START + 2 * HOUR)!.values.failed_authentications_hour).toBe(0);
});

test('accounts made in a burst from one network, or with one throwaway domain, are seen on both', () => {
  const book = bookOf();
  for (let at = 0; at < 12; at++)
    book.observeAccount(
      {
        organization: `org_${at}`,
        address: parseAddress('2001:db8:1::5'),
        mailDomain: at < 8 ? 'trash.test' : `d${at}.test`,
        isDisposableMail: at < 8,
      },
      START + at,
    );
  book.observeAccount({ organization: 'org_quiet', address: null, mailDomain: null, isDisposableMail: null }, START);
  const read = (id: string, now = START): unknown => book.read({ kind: 'organization', id }, now)!.values;
  expect(book.read({ kind: 'address_block', id: '2001:db8:1::/48' }, START)!.values.new_accounts).toBe(12);
  expect(read('org_3')).toMatchObject({ disposable_mail: 1, network_new_accounts: 12, domain_new_accounts: 8 });
  expect(read('org_9')).toMatchObject({ disposable_mail: 0, network_new_accounts: 12, domain_new_accounts: 1 });
  expect(read('org_quiet')).toMatchObject({ disposable_mail: null, network_new_accounts: null, domain_new_accounts: null });
  expect(read('org_3', START + 3 * DAY)).toMatchObject({ network_new_accounts: 0, domain_new_accounts: 0 });
});

test('a subject is due for judgement after a while or after many requests, not with each', () => {
  const book = bookOf({ judgeEveryMs: 10_000, judgeEveryRequests: 5 });
  const due = (now: number): number => book.observe({ ...PLAIN, address: null }, now).length;
  expect([0, 1, 2, 3, 4, 5].map((at) => due(START + at))).toEqual([0, 0, 0, 0, 2, 0]);
  expect(due(START + 10_003)).toBe(0);
  expect(book.observe({ ...PLAIN, address: null }, START + 10_004)).toEqual([ORGANIZATION, KEY]);
  expect(due(START + 10_005)).toBe(0);
});

test('made-up end users push out each other, not keys, and a subject with an open case stays', () => {
  const book = bookOf();
  book.observe({ ...PLAIN, endUser: 'eu_kept' }, START);
  expect(book.setOpenCase({ kind: 'end_user', id: 'eu_kept' }, true)).toBe(true);
  expect(book.setOpenCase({ kind: 'end_user', id: 'eu_unknown' }, true)).toBe(false);
  for (let at = 0; at < 500; at++) book.observe({ ...PLAIN, endUser: `eu_${at}` }, START + at);
  expect(book.size.end_user).toEqual({ subjects: 64, subjectsMax: 64, evicted: 437 });
  expect(book.size.key).toMatchObject({ subjects: 1, evicted: 0 });
  expect(book.read({ kind: 'end_user', id: 'eu_kept' }, START + 500)).not.toBeNull();
  expect(book.read({ kind: 'end_user', id: 'eu_0' }, START + 500)).toBeNull();
  // At most a quarter of the room.
  const held = Array.from({ length: 40 }, (_, at) => book.setOpenCase({ kind: 'end_user', id: `eu_${460 + at}` }, true));
  expect(held.filter(Boolean)).toHaveLength(15);
});

test('a book in use takes the stated bytes for each subject, in segments, and no more when it is full', () => {
  const subjectsMax = { organization: 1, key: 1_024, end_user: 1, address_block: 1 };
  const book = bookOf({ subjectsMax });
  for (let at = 0; at < 3_000; at++) book.observe({ ...PLAIN, key: `key_${at}` }, START + at);
  expect(book.byteCount).toBeLessThanOrEqual(BYTES_PER_SUBJECT * (1_024 + 3));
  expect(BYTES_PER_SUBJECT).toBeLessThan(1_600);
});

test('whatever the clock does, values stay in their ranges and nothing is learnt from the future', () => {
  const step = fc.record({
    key: fc.constantFrom('key_a', 'key_b'),
    jumpMs: fc.oneof(fc.integer({ min: 0, max: 2 * MINUTE }), fc.integer({ min: -2 * DAY, max: 3 * DAY })),
    address: fc.constantFrom('10.0.0.1', '20.0.0.1', '30.0.0.1', '99.0.0.1'),
    outcome: fc.constantFrom<Observation['outcome']>('answered', 'refused', 'caller_error', 'limited', 'other'),
    cost: fc.option(fc.integer({ min: 0, max: 1_000_000 })),
    isNearLimit: fc.option(fc.boolean()),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 80 }), (steps) => {
      const book = bookOf();
      let now = START + 10 * DAY;
      for (const { key, jumpMs, address, outcome, cost, isNearLimit } of steps) {
        now += jumpMs;
        book.observe({ ...PLAIN, ...from(address), key, outcome, costMicroUsd: cost, isNearLimit }, now);
        for (const kind of WATCHED_KINDS) {
          const id = { key, organization: 'org_a', end_user: 'eu', address_block: '10.0.0.0/24' }[kind];
          const reading = book.read({ kind, id }, now);
          for (const [name, value] of Object.entries(reading?.values ?? {})) {
            if (value === null) continue;
            expect(Number.isFinite(value), name).toBe(true);
            expect(value, name).toBeGreaterThanOrEqual(name === 'new_model_excess' ? -1 : 0);
            if (name.endsWith('_share')) expect(value, name).toBeLessThanOrEqual(1);
          }
        }
      }
      expect(book.read(ORGANIZATION, now)!.values.requests_seen).toBe(steps.length);
    }),
    { numRuns: 60 },
  );
});
