import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ROLES, RUNGS, type Action } from '#contracts/tenancy';
import { mayServe } from './cut-off.ts';
import { compileScopes } from './key-scopes.ts';
import { may, PERMISSIONS } from './permissions.ts';
import { GOOD_STANDING, standingOf } from './standing.ts';
import { sampleAction, sampleKey, sampleOrganization, sampleWorkspace } from '#contracts/tenancy-kit.fixture';
import { usabilityOf } from './usability.ts';

describe('roles', () => {
  test('an admin may do everything, and whoever has no role nothing', () => {
    for (const permission of PERMISSIONS) {
      expect(may('admin', permission)).toBe(true);
      expect(may(null, permission)).toBe(false);
    }
  });

  test('every role may do what a read-only one may, and a read-only one changes nothing', () => {
    for (const permission of PERMISSIONS) {
      if (may('read_only', permission)) for (const role of ROLES) expect(may(role, permission), role).toBe(true);
      if (!permission.endsWith('.read')) expect(may('read_only', permission), permission).toBe(false);
    }
  });

  test('an operator does not judge cases, a reviewer changes no tenant, and neither makes the powerful more powerful', () => {
    expect(may('operator', 'cases.review') || may('operator', 'appeals.decide')).toBe(false);
    expect(may('reviewer', 'keys.write') || may('reviewer', 'limits.write') || may('reviewer', 'workspaces.write')).toBe(false);
    for (const role of ['operator', 'reviewer'] as const)
      for (const permission of ['members.write', 'admin_keys.write', 'organizations.write'] as const)
        expect(may(role, permission)).toBe(false);
  });
});

describe('standing', () => {
  const action = fc
    .record({
      id: fc.integer({ min: 0, max: 9 }),
      rung: fc.constantFrom(...RUNGS),
      factor: fc.constantFrom(0.01, 0.25, 0.5, 1),
      capabilities: fc.subarray(['tools', 'model:a', 'model_class:b']),
      expiresAtMs: fc.option(fc.integer({ min: 1, max: 20 })),
      reversedAtMs: fc.option(fc.constant(1), { freq: 4 }),
    })
    .map(({ id, ...more }): Action => sampleAction({ id: `act_${id}`, ...more }));

  test('does not depend on the order of actions, and more actions never make it better', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(action, { maxLength: 8, selector: ({ id }) => id }),
        action,
        fc.integer({ min: 0, max: 25 }),
        (some, one, nowMs) => {
          const now = standingOf(some, nowMs);
          expect(standingOf(some.toReversed(), nowMs)).toEqual(now);
          const more = standingOf([...some, { ...one, id: 'act_new' }], nowMs);
          expect(more.rateFactor).toBeLessThanOrEqual(now.rateFactor);
          expect(more.untilMs).toBeLessThanOrEqual(now.untilMs);
          expect([...now.blocked.keys()].every((name) => more.blocked.has(name))).toBe(true);
          if (now.suspended) expect(more.suspended).not.toBeNull();
        },
      ),
    );
  });

  test('holds until the moment it names, and changes then', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 6 }), fc.integer({ min: 0, max: 25 }), (some, nowMs) => {
        const { untilMs, ...now } = standingOf(some, nowMs);
        for (let later = nowMs; later < Math.min(untilMs, 30); later++) expect(standingOf(some, later)).toMatchObject(now);
        if (untilMs !== Infinity) expect(standingOf(some, untilMs).untilMs).toBeGreaterThan(untilMs);
      }),
    );
  });

  test('a note does nothing, the smallest factor wins, and an organization is suspended before a key', () => {
    expect(standingOf([sampleAction({ rung: 'note' })], 0)).toBe(GOOD_STANDING);
    expect(
      standingOf([sampleAction({ factor: 0.5 }), sampleAction({ factor: 0.1 }), sampleAction({ factor: 0.9 })], 0).rateFactor,
    ).toBe(0.1);
    const both = [
      sampleAction({ id: 'act_o', rung: 'suspend_organization' }),
      sampleAction({ id: 'act_k', rung: 'suspend_key' }),
    ];
    expect(standingOf(both, 0).suspended?.id).toBe('act_o');
  });

  test('an action from a machine whose clock is ahead holds at once', () => {
    expect(standingOf([sampleAction({ rung: 'suspend_key', createdAtMs: 9_000 })], 1_000).suspended).not.toBeNull();
  });
});

describe('cut off from the store', () => {
  test.each([
    [{ kind: 'serve' } as const, 1e12, true],
    [{ kind: 'refuse', afterSeconds: 60 } as const, 0, true],
    [{ kind: 'refuse', afterSeconds: 60 } as const, 59_999, true],
    [{ kind: 'refuse', afterSeconds: 60 } as const, 60_000, false],
    [{ kind: 'refuse', afterSeconds: 0 } as const, 0, true],
    [{ kind: 'refuse', afterSeconds: 0 } as const, 1, false],
  ])('%j for %i ms: served is %s', (policy, cutOffForMs, isServed) => expect(mayServe(policy, cutOffForMs)).toBe(isServed));
});

describe('usability of a key', () => {
  const owner = { organization: sampleOrganization(), workspace: sampleWorkspace() };
  test('a key is good until the very millisecond at which it expires', () => {
    const key = sampleKey({ expiresAtMs: 5_000 });
    expect(usabilityOf(key, owner, 4_999)).toEqual({ kind: 'usable', untilMs: 5_000 });
    expect(usabilityOf(key, owner, 5_000)).toEqual({ kind: 'expired' });
    expect(usabilityOf(sampleKey(), owner, 1e15)).toEqual({ kind: 'usable', untilMs: Infinity });
  });
  test.each([
    ['revoked', sampleKey({ revokedAtMs: 9e12 }), owner],
    ['organization_closed', sampleKey(), { ...owner, organization: sampleOrganization({ closedAtMs: 9e12 }) }],
    ['workspace_closed', sampleKey(), { ...owner, workspace: sampleWorkspace({ closedAtMs: 9e12 }) }],
    ['ownerless', sampleKey(), { ...owner, organization: null }],
    ['ownerless', sampleKey(), { ...owner, workspace: null }],
    ['ownerless', sampleKey(), { ...owner, workspace: sampleWorkspace({ organization: 'org_other' }) }],
    ['ownerless', sampleKey({ workspace: null }), owner],
  ] as const)('%s, whatever the time', (kind, key, of) => expect(usabilityOf(key, of, 0)).toEqual({ kind }));
  test('an operating key needs no workspace', () => {
    expect(
      usabilityOf(
        sampleKey({ use: 'admin', role: 'admin', reach: 'organization', workspace: null }),
        { ...owner, workspace: null },
        0,
      ).kind,
    ).toBe('usable');
  });
});

describe('scopes of a key', () => {
  test('what scopes do not mention is not restricted, and an empty list allows nothing', () => {
    const all = compileScopes({});
    expect([all.allowsModel('m'), all.allowsRegion(null), all.allowsAddress('10.0.0.1'), all.hasAddresses]).toEqual([
      true,
      true,
      true,
      false,
    ]);
    const none = compileScopes({ models: [], regions: [], addresses: [] });
    expect([none.allowsModel('m'), none.allowsRegion('eu'), none.allowsAddress('10.0.0.1')]).toEqual([false, false, false]);
  });

  test('models and regions are allowed by name, and no region is none of those named', () => {
    const { allowsModel, allowsRegion } = compileScopes({ models: ['a'], regions: ['eu'] });
    expect([allowsModel('a'), allowsModel('A'), allowsModel('b')]).toEqual([true, false, false]);
    expect([allowsRegion('eu'), allowsRegion('us'), allowsRegion(null)]).toEqual([true, false, false]);
  });

  test.each([
    ['192.0.2.0/24', '192.0.2.255', true],
    ['192.0.2.0/24', '192.0.3.0', false],
    ['192.0.2.77/24', '192.0.2.1', true],
    ['192.0.2.0/24', '::ffff:192.0.2.9', true],
    ['::ffff:192.0.2.0/120', '192.0.2.9', true],
    ['::ffff:192.0.2.0/120', '192.0.3.9', false],
    ['192.0.2.7', '192.0.2.7', true],
    ['192.0.2.7', '192.0.2.8', false],
    ['0.0.0.0/0', '8.8.8.8', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['2001:db8::/32', '2001:db8:ffff::1', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['::/0', '8.8.8.8', false],
    ['192.0.2.0/33', '192.0.2.0', false],
    ['192.0.2.0/', '192.0.2.0', false],
    ['0300.0.2.0/24', '192.0.2.1', false],
    ['everywhere', '192.0.2.1', false],
    ['192.0.2.0/24', '192.0.2', false],
    ['192.0.2.0/24', '', false],
    ['fe80::/10', 'fe80::1%eth0', true],
  ])('block %s and address %s: %s', (block, address, isAllowed) => {
    expect(compileScopes({ addresses: [block] }).allowsAddress(address)).toBe(isAllowed);
  });
});
