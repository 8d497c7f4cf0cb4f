import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AbuseRule, abuseRuleSchema } from '#contracts/abuse';
import type { Case, Subject } from '#contracts/tenancy';
import { compileRule, type Reading, SIGNAL_NAMES } from '#core/abuse';
import { createVirtualClock, type VirtualClock } from '#runtime';
import { type ControlStore, openControlStore, StoreAway } from '#storage';
import { type CaseFiler, createCaseFiler } from './case-filer.ts';
import { createCaseLedger } from './case-ledger.ts';
import { fileCase, type Firing } from './file-case.ts';

// A real store, which takes a few ms for each commit.
let directory: string;
let store: ControlStore;
let subjects = 0;
beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'plimsoll-filing-'));
  store = await openControlStore({ kind: 'embedded', directory });
});
afterAll(async () => {
  await store.close();
  rmSync(directory, { recursive: true });
});

const HOUR = 3_600_000;
const UNKNOWN = Object.fromEntries(SIGNAL_NAMES.map((name) => [name, null])) as Reading['values'];
const reading: Reading = { values: { ...UNKNOWN, requests_seen: 7, error_share: 0.5 }, errors: { error_share: 0.1 } };

interface Kit {
  readonly clock: VirtualClock;
  readonly subject: Subject;
  readonly organization: string;
  readonly rule: AbuseRule;
  firing(more?: Partial<Firing>): Firing;
  cases(): Promise<readonly Case[]>;
  /** Confirmed reviews of the same rule about others. */
  confirm(count: number): Promise<void>;
  /** A gateway of its own on the same store. */
  filer(to?: ControlStore): CaseFiler & { readonly applied: unknown[]; readonly said: string[]; readonly open: Subject[] };
}

/** A rule and a subject that no other test has anything to do with. */
function kitOf(more: object = {}): Kit {
  const number = subjects++;
  const organization = `org_${number}`;
  const subject = { kind: 'key', id: `key_${number}` } as const;
  const clock = createVirtualClock();
  const rule = abuseRuleSchema.parse({
    id: `rule-${number}`,
    on: 'key',
    when: 'requests_seen >= 5',
    rung: 'slow',
    factor: 0.5,
    expires: '3h',
    window: '1h',
    reason: 'near_limit',
    dry_run: false,
    ...more,
  });
  const compiled = compileRule(rule);
  if (!compiled.ok) throw new Error(compiled.error);
  const firing: Kit['firing'] = (other = {}) => ({
    rule: compiled.value,
    subject,
    organization,
    reading,
    atMs: clock.wallMs(),
    ...other,
  });
  return {
    clock,
    subject,
    organization,
    rule,
    firing,
    cases: async () => (await store.list({ kind: 'case', organization, after: null, max: 1_000 })).map(({ object }) => object),
    async confirm(count) {
      for (let at = 0; at < count; at++) {
        const about = firing({ subject: { kind: 'key', id: `key_${number}_${at}` }, organization: `org_${number}_${at}` });
        const filed = await fileCase(about, { store, reviews: { confirmed: 0, notConfirmed: 0 } });
        if (filed.kind !== 'filed') throw new Error('it was filed');
        const [{ object, version }] = filed.objects as [(typeof filed.objects)[number]];
        await close(object as Case, version, clock.wallMs(), 'confirmed');
      }
    },
    filer(to = store) {
      const kept = { applied: [] as unknown[], said: [] as string[], open: [] as Subject[] };
      const filer = createCaseFiler({
        clock,
        store: to,
        ledger: createCaseLedger({ store: to, onSettled: () => undefined }),
        onCommitted: (objects) => kept.applied.push(...objects),
        onOpen: (one) => kept.open.push(one),
        onEvent: ({ level, message }) => kept.said.push(`${level} ${message}`),
      });
      return { ...filer, ...kept };
    },
  };
}

async function close(one: Case, version: number, atMs: number, verdict: 'confirmed' | 'mistaken' | null): Promise<void> {
  const review = verdict && { verdict, by: 'member:mem_1', atMs, note: 'looked' };
  const object: Case = { ...one, status: 'closed', closedAtMs: atMs, review };
  const audit = { atMs, actor: 'member:mem_1', act: 'case.review', organization: one.organization, subject: one.id, details: {} };
  expect((await store.commit({ put: [{ object, expectVersion: version }], audit })).kind).toBe('committed');
}

/** Waits for what really takes time: the store. */
async function filed(filer: CaseFiler): Promise<void> {
  while (filer.status().waiting > 0 && filer.status().awaySinceMs === null) await new Promise((resolve) => setImmediate(resolve));
}

test('two gateways that see the same thing at once end with one case, one action and one entry of the rule in the audit log', async () => {
  const kit = kitOf();
  await kit.confirm(20);
  const gateways = Array.from({ length: 4 }, () => kit.filer());
  for (const gateway of gateways) gateway.add(kit.firing());
  await Promise.all(gateways.map(filed));
  const [only, ...others] = await kit.cases();
  expect(others).toEqual([]);
  expect(only).toMatchObject({ occurrences: 1, signals: { requests_seen: 7, error_share: 0.5, error_share_error: 0.1 } });
  expect(await store.list({ kind: 'action', organization: kit.organization, after: null, max: 10 })).toHaveLength(1);
  expect(await store.audit({ organization: kit.organization, after: 0, max: 10 })).toMatchObject([
    { actor: `rule:${kit.rule.id}`, act: 'case.open', details: { about: kit.subject.id, rung: 'slow', confirmed: 20 } },
  ]);
  // One wrote it, and told its gateway; all of them hold the subject for a case.
  expect(gateways.map(({ applied }) => applied.length).sort((a, b) => a - b)).toEqual([0, 0, 0, 2]);
  expect(gateways.map(({ open }) => open.length)).toEqual([1, 1, 1, 1]);
});

test('within its window a firing is no occurrence, after it one more, and after a review there is a second case', async () => {
  const kit = kitOf({ cool_down: '5h' });
  const file = async (): Promise<string> =>
    (await fileCase(kit.firing(), { store, reviews: { confirmed: 0, notConfirmed: 0 } })).kind;
  expect(await file()).toBe('filed');
  kit.clock.stepWall(HOUR - 1);
  expect(await file()).toBe('quiet');
  kit.clock.stepWall(1);
  expect(await file()).toBe('filed');
  const [first] = (await kit.cases()) as [Case];
  expect(first).toMatchObject({ occurrences: 2, openedAtMs: kit.clock.wallMs() - HOUR, lastSeenAtMs: kit.clock.wallMs() });
  await close(first, 2, kit.clock.wallMs(), 'mistaken');
  kit.clock.stepWall(5 * HOUR - 1);
  expect(await file()).toBe('quiet');
  kit.clock.stepWall(1);
  expect(await file()).toBe('filed');
  expect((await kit.cases()).map(({ id, status }) => [id.slice(-6), status])).toEqual([
    ['000000', 'closed'],
    ['000001', 'open'],
  ]);
});

test('an action that has run out is taken again when the rule still fires; one that a person reversed is not', async () => {
  const kit = kitOf();
  const file = async (): Promise<unknown> => {
    const done = await fileCase(kit.firing(), { store, reviews: { confirmed: 40, notConfirmed: 0 } });
    return done.kind === 'filed' && done.action && { id: done.action.id.slice(-6), expiresAtMs: done.action.expiresAtMs };
  };
  const until = (): number => kit.clock.wallMs() + 3 * HOUR;
  expect(await file()).toEqual({ id: '000000', expiresAtMs: until() });
  kit.clock.stepWall(HOUR);
  expect(await file()).toBeNull();
  kit.clock.stepWall(2 * HOUR);
  expect(await file()).toEqual({ id: '000001', expiresAtMs: until() });
  const [, second] = await store.list({ kind: 'action', organization: kit.organization, after: null, max: 10 });
  const reversed = { ...second!.object, reversedAtMs: kit.clock.wallMs(), reversedBy: 'member:mem_1', reversedBecause: 'no' };
  const audit = { atMs: 0, actor: 'member:mem_1', act: 'action.reverse', organization: null, subject: 'x', details: {} };
  await store.commit({ put: [{ object: reversed, expectVersion: second!.version }], audit });
  kit.clock.stepWall(4 * HOUR);
  expect(await file()).toBeNull();
});

test('a dry run opens cases and takes nothing, however well it is reviewed', async () => {
  const kit = kitOf({ dry_run: true });
  const done = await fileCase(kit.firing(), { store, reviews: { confirmed: 400, notConfirmed: 0 } });
  expect(done).toMatchObject({ kind: 'filed', isNew: true, action: null, objects: [{ object: { proposes: 'slow' } }] });
});

test('a network cannot be slowed, so no action claims that it is', async () => {
  const kit = kitOf({ on: 'address_block' });
  const firing = kit.firing({ subject: { kind: 'address_block', id: '192.0.2.0/24' } });
  expect(await fileCase(firing, { store, reviews: { confirmed: 40, notConfirmed: 0 } })).toMatchObject({
    kind: 'filed',
    action: null,
  });
});

test('reviews count for the expression that fired: a rule that was changed begins with none', async () => {
  const kit = kitOf();
  await kit.confirm(3);
  const ledger = createCaseLedger({ store, onSettled: () => undefined });
  expect(ledger.reviewsOf(kit.rule)).toBeNull();
  await ledger.refresh();
  expect(ledger.reviewsOf(kit.rule)).toEqual({ confirmed: 3, notConfirmed: 0 });
  expect(ledger.reviewsOf({ ...kit.rule, when: 'requests_seen >= 4' })).toEqual({ confirmed: 0, notConfirmed: 0 });
  expect(ledger.reviewsOf({ ...kit.rule, on: 'organization' })).toEqual({ confirmed: 0, notConfirmed: 0 });
});

test('a review that is changed counts as what it says now, and a case that is settled lets its subject go', async () => {
  const kit = kitOf();
  const settled: Subject[] = [];
  const ledger = createCaseLedger({ store, onSettled: (subject) => settled.push(subject) });
  await fileCase(kit.firing(), { store, reviews: { confirmed: 0, notConfirmed: 0 } });
  await ledger.refresh();
  expect(settled.some(({ id }) => id === kit.subject.id)).toBe(false);
  const [one] = (await kit.cases()) as [Case];
  await close(one, 1, kit.clock.wallMs(), 'confirmed');
  await ledger.refresh();
  expect(ledger.reviewsOf(kit.rule)).toEqual({ confirmed: 1, notConfirmed: 0 });
  expect(settled.filter(({ id }) => id === kit.subject.id)).toHaveLength(1);
  await close(one, 2, kit.clock.wallMs(), 'mistaken');
  await ledger.refresh();
  expect(ledger.reviewsOf(kit.rule)).toEqual({ confirmed: 0, notConfirmed: 1 });
});

test('what does not fit the ledger is forgotten, the case that changed longest ago first', async () => {
  const kit = kitOf();
  await kit.confirm(3);
  const small = createCaseLedger({ store, onSettled: () => undefined, casesMax: 2 });
  await small.refresh();
  expect(small.reviewsOf(kit.rule)).toEqual({ confirmed: 2, notConfirmed: 0 });
});

test('while the store is away nothing is done and nothing is lost: it is said once, and the case is filed when the store is back', async () => {
  const kit = kitOf();
  let isAway = true;
  const filer = kit.filer({
    ...store,
    changesAfter: (...args) => (isAway ? Promise.reject(new StoreAway('the door is shut')) : store.changesAfter(...args)),
  });
  filer.add(kit.firing());
  await filed(filer);
  await kit.clock.advance(20_000);
  expect(filer.status()).toMatchObject({ waiting: 1, casesOpened: 0, awaySinceMs: expect.any(Number) });
  expect(filer.said).toEqual([
    expect.stringMatching(/^warn abuse rules can open no cases .*the door is shut.*requests are served$/),
  ]);
  isAway = false;
  await kit.clock.advance(30_000);
  await filed(filer);
  expect(await kit.cases()).toHaveLength(1);
  expect(filer.status()).toMatchObject({ waiting: 0, casesOpened: 1, awaySinceMs: null });
  expect(filer.said.at(-1)).toMatch(/^info the control store is back/);
});

test('what waits for the store is bounded and counted, and is given up after an hour', async () => {
  const kit = kitOf();
  let isAway = true;
  const filer = kit.filer({
    ...store,
    changesAfter: (...args) => (isAway ? Promise.reject(new StoreAway('away')) : store.changesAfter(...args)),
  });
  for (let at = 0; at < 300; at++) filer.add(kit.firing({ subject: { kind: 'key', id: `key_other_${at}` } }));
  await filed(filer);
  expect(filer.status()).toMatchObject({ waiting: 256, lost: { full: 44, late: 0 } });
  kit.clock.stepWall(HOUR + 1);
  isAway = false;
  await kit.clock.advance(60_000);
  await filed(filer);
  expect(filer.status()).toMatchObject({ waiting: 0, casesOpened: 0, lost: { full: 44, late: 256 } });
  expect(await kit.cases()).toEqual([]);
});
