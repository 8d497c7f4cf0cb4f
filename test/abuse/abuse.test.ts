import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { abuseSchema } from '#contracts/abuse';
import { type Installation, startInstallation } from './kit/start-installation.ts';

// A whole gateway over a real store, and hundreds of requests through its socket in each test: they take seconds, not milliseconds.
const MINUTE = 60_000;
const DAY = 86_400_000;
const PLACES = '198.51.100.0/24,DE,52.5,13.4\n203.0.113.0/24,AU,-33.9,151.2\n';
const [BERLIN, SYDNEY] = ['198.51.100.7', '203.0.113.7'];

let here: Installation;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-lists-'));
  writeFileSync(path.join(folder, 'places.csv'), PLACES);
  here = await startInstallation({ lists: { places: [path.join(folder, 'places.csv')] } });
});
afterAll(async () => {
  await here.close();
  rmSync(folder, { recursive: true });
});

const acts = async (organization: string): Promise<readonly string[]> =>
  (await here.auditOf(organization)).map(({ actor, act }) => `${actor.replace(/:key_.*/, '')} ${act}`);

describe('signals', () => {
  test('a key that suddenly calls 20 times as much opens one case, with its evidence in numbers, and nothing is done about it', async () => {
    const key = await here.newKey();
    await here.traffic(key.presented, 65, { perMinute: () => 1 });
    expect(await here.casesOf(key.organization)).toEqual([]);
    await here.traffic(key.presented, 8, { perMinute: () => 20 });
    const cases = await here.casesOf(key.organization);
    expect(cases).toMatchObject([
      {
        rule: 'velocity-change',
        subject: { kind: 'key', id: key.id },
        status: 'open',
        occurrences: 1,
        when: 'velocity_change >= 1 && requests_per_minute > 3 * requests_per_minute_usual',
        proposes: 'note',
        signals: { requests_per_minute: 20 },
      },
    ]);
    const { signals } = cases[0];
    expect(signals.velocity_change).toBeGreaterThanOrEqual(1);
    expect(signals.requests_per_minute_usual).toBeGreaterThan(0.5);
    expect(signals.requests_per_minute_usual).toBeLessThan(3);
    expect(signals.requests_per_minute_usual_error).toBeGreaterThan(0);
    // It sent the same text each time.
    expect(signals.template_repeat_share).toBeGreaterThan(0.9);
    expect((await here.admin('GET', `/admin/v1/actions?organization=${key.organization}`)).body.data).toEqual([]);
    expect((await acts(key.organization)).filter((act) => act.startsWith('rule:'))).toEqual(['rule:velocity-change case.open']);
    expect((await here.call(key.presented)).status).toBe(200);
  });

  test('a key that comes from 25 new networks a day after it came from one opens a case that says how many, and how sure that is', async () => {
    const key = await here.newKey();
    await here.traffic(key.presented, 1, { perMinute: () => 1 });
    here.clock.stepWall(DAY);
    await here.traffic(key.presented, 1, { perMinute: () => 25, from: (request) => `10.${request}.0.1` });
    // One look after the last of them.
    await here.traffic(key.presented, 1, { perMinute: () => 1, from: () => '10.0.0.1' });
    expect(await here.casesOf(key.organization)).toMatchObject([
      {
        rule: 'many-networks',
        subject: { kind: 'key', id: key.id },
        signals: { new_networks: 25, new_networks_error: expect.any(Number) },
      },
    ]);
  });

  test('a key at work in Berlin and in Sydney at once opens a case', async () => {
    const key = await here.newKey();
    await here.call(key.presented, BERLIN);
    for (let time = 0; time < 3; time++) await here.together(key.presented, [BERLIN, SYDNEY], 2_000);
    here.clock.stepWall(MINUTE);
    await here.traffic(key.presented, 1, { perMinute: () => 1, from: () => BERLIN });
    const cases = await here.casesOf(key.organization);
    expect(cases).toMatchObject([
      { rule: 'two-places', subject: { kind: 'key', id: key.id }, signals: { distinct_countries: 2 } },
    ]);
    expect(cases[0].signals.two_places).toBeGreaterThanOrEqual(3);
  });

  test('what is known of a key can be asked for, with what each rule says of it', async () => {
    const key = await here.newKey();
    await here.traffic(key.presented, 1, { perMinute: () => 2 });
    const known = here.watch.signals({ kind: 'key', id: key.id });
    expect(known?.values).toMatchObject({ requests_seen: 2, new_networks: null });
    expect(known?.rules.find(({ rule }) => rule === 'many-networks')).toEqual({
      rule: 'many-networks',
      says: 'unmeasured',
      missing: ['new_networks'],
    });
    expect(here.watch.signals({ kind: 'key', id: 'key_nobody' })).toBeNull();
  });
});

describe('actions', () => {
  test('a key proven leaked is refused at once, without a review, and a case is open about it', async () => {
    const key = await here.newKey();
    expect((await here.call(key.presented)).status).toBe(200);
    expect((await here.admin('POST', '/admin/v1/leaked_keys', { key: key.presented })).status).toBe(202);
    expect((await here.call(key.presented)).status).toBe(401);
    expect(await here.casesOf(key.organization)).toMatchObject([
      { rule: 'leaked_key', subject: { kind: 'key', id: key.id }, status: 'open' },
    ]);
    expect((await acts(key.organization)).at(-1)).toBe('key leaked_key.report');
  });

  test('whom a person suspends is told why and where to appeal, appeals with the suspended key, and is served again when it is overturned', async () => {
    const key = await here.newKey();
    const { body: action } = await here.admin('POST', '/admin/v1/actions', {
      organization: key.organization,
      subject: { kind: 'key', id: key.id },
      rung: 'suspend_key',
      reason: 'operator_decision',
      evidence: { ticket: 'T-1' },
    });
    const refused = await here.call(key.presented);
    expect(refused.status).toBe(403);
    const { error } = JSON.parse(refused.body.toString());
    expect(error.type).toBe('permission_error');
    expect(error.message).toContain('operator_decision');
    expect(error.message).toContain(action.id);
    expect(error.message).toContain('https://operator.example/appeal');

    const appealed = await here.admin(
      'POST',
      '/admin/v1/appeals',
      { action: action.id, statement: 'We are a shipyard.' },
      key.presented,
    );
    expect(appealed.status).toBe(201);
    const decided = await here.admin('POST', `/admin/v1/appeals/${appealed.body.id}/decide`, {
      verdict: 'overturned',
      note: 'They are.',
    });
    expect(decided.status).toBe(200);
    expect((await here.call(key.presented)).status).toBe(200);
    expect((await acts(key.organization)).slice(-3)).toEqual(['key action.create', 'key appeal.create', 'key appeal.decide']);
    expect((await here.admin('GET', '/admin/v1/audit/verify')).body.broken_at).toBeNull();
  });
});

describe('what a rule may do by itself', () => {
  const rules = [
    {
      id: 'busy',
      on: 'key',
      when: 'requests_seen >= 2',
      rung: 'suspend_key',
      factor: 0.25,
      expires: '2h',
      reason: 'near_limit',
      window: '10m',
      dry_run: false,
    },
  ] as const;
  const LIMIT = 'anthropic-ratelimit-requests-limit';
  const { factor } = rules[0];
  type Key = Awaited<ReturnType<Installation['newKey']>>;
  let reviewed: readonly Key[];

  /** New keys that each have given the rule a reason. */
  const busyKeys = async (count: number): Promise<readonly Key[]> => {
    const keys: Key[] = [];
    while (keys.length < count) keys.push(await here.newKey());
    for (const { presented } of keys) await here.call(presented);
    here.clock.stepWall(MINUTE);
    for (const { presented } of keys) await here.call(presented);
    await here.settle();
    return keys;
  };
  const review = async ({ organization }: Key, verdict: 'confirmed' | 'mistaken'): Promise<void> => {
    const [{ id }] = await here.casesOf(organization);
    expect((await here.admin('POST', `/admin/v1/cases/${id}/review`, { verdict, note: 'looked' })).status).toBe(200);
  };
  const actionsOn = async ({ organization }: Key): Promise<readonly { readonly id: string; readonly created_at_ms: number }[]> =>
    (await here.admin('GET', `/admin/v1/actions?organization=${organization}`)).body.data;
  const limitOf = async ({ presented }: Key): Promise<number> => Number((await here.call(presented)).headers[LIMIT]);

  test('nothing before anybody has reviewed it; slowing when reviews prove it; nothing again when they speak against it', async () => {
    here.watch.replace(abuseSchema.parse({ default_rules: false, rules, lists: { places: [path.join(folder, 'places.csv')] } }));
    try {
      reviewed = await busyKeys(20);
      const usual = await limitOf(reviewed[0]!);
      expect(usual).toBeGreaterThan(0);
      for (const key of reviewed) {
        expect(await here.casesOf(key.organization)).toMatchObject([{ rule: 'busy', status: 'open', proposes: 'suspend_key' }]);
        expect(await actionsOn(key)).toEqual([]);
        await review(key, 'confirmed');
      }

      // 20 of 20 confirmed prove 0.84: enough to slow, and too few for more.
      const [slowed] = (await busyKeys(1)) as [Key];
      const [action] = (await actionsOn(slowed)) as readonly [{ readonly id: string; readonly created_at_ms: number }];
      expect(action).toMatchObject({
        rung: 'slow',
        factor: 0.25,
        reason: 'near_limit',
        evidence: { requests_seen: 2 },
        decided_by: { kind: 'rule', id: 'busy' },
        expires_at_ms: action.created_at_ms + 7_200_000,
      });
      const [entry] = (await here.auditOf(slowed.organization)).filter(({ actor }) => actor === 'rule:busy');
      expect(entry).toMatchObject({
        act: 'case.open',
        details: { action: action.id, rung: 'slow', confirmed: 20, reviewed: 20 },
      });
      expect(await limitOf(slowed)).toBe(usual * factor);

      // One call takes it back; and the rule does not take it again while the case is the same.
      const reversed = await here.admin('POST', `/admin/v1/actions/${action.id}/reverse`, { because: 'they asked us before' });
      expect(reversed.status).toBe(200);
      expect(await limitOf(slowed)).toBe(usual);
      await here.clock.advance(11 * MINUTE);
      await here.call(slowed.presented);
      await here.settle();
      expect(await here.casesOf(slowed.organization)).toMatchObject([{ occurrences: 2 }]);
      expect(await actionsOn(slowed)).toHaveLength(1);

      // Whom it slowed without a person's doing is free again when that expires.
      const [other] = (await busyKeys(1)) as [Key];
      expect(await limitOf(other)).toBe(usual * factor);
      here.clock.stepWall(7_200_001);
      expect(await limitOf(other)).toBe(usual);

      // 12 of 20 confirmed prove 0.39.
      for (const key of reviewed.slice(0, 8)) await review(key, 'mistaken');
      const [last] = (await busyKeys(1)) as [Key];
      expect(await here.casesOf(last.organization)).toHaveLength(1);
      expect(await actionsOn(last)).toEqual([]);
      expect(here.watch.status().rules).toMatchObject([
        { id: 'busy', reviews: { confirmed: 12, notConfirmed: 8 }, allowed: 'note', isDryRun: false },
      ]);
    } finally {
      here.watch.replace(abuseSchema.parse({ lists: { places: [path.join(folder, 'places.csv')] } }));
    }
  });
});
