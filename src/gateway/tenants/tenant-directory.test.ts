import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isInForce, standingOf, usabilityOf } from '#core/tenancy';
import type { Action, Key, Organization, TenantObject, Workspace } from '#contracts/tenancy';
import { sampleAction, sampleKey, sampleOrganization, sampleWorkspace } from '#contracts/tenancy-kit.fixture';
import { hashKey, newKey } from '#storage';
import { createTenantDirectory, type Caller, type TenantDirectory } from './tenant-directory.ts';

const pepper = Buffer.alloc(32, 7);
const made = newKey('api', pepper);
const admin = newKey('admin', pepper);

function directoryWith(...objects: readonly TenantObject[]): {
  readonly directory: TenantDirectory;
  readonly at: { nowMs: number };
} {
  const at = { nowMs: 2_000 };
  const directory = createTenantDirectory({ pepper, wallMs: () => at.nowMs });
  directory.apply([sampleOrganization(), sampleWorkspace(), ...objects]);
  return { directory, at };
}
const key = (more: Partial<Key> = {}): Key => sampleKey({ hash: made.hash, hint: made.hint, ...more });

describe('finding a caller', () => {
  test('a presented key is found with everything above it, and as the same object until something changes', () => {
    const { directory } = directoryWith(key({ scopes: { models: ['m'] } }));
    const caller = directory.find(made.presented);
    expect(caller).toMatchObject({
      id: 'key_one',
      organization: 'org_one',
      workspace: 'ws_one',
      role: 'api',
      tenant: { organization: sampleOrganization(), workspace: sampleWorkspace() },
      standing: { rateFactor: 1, suspended: null },
    });
    expect(caller?.scopes.allowsModel('other')).toBe(false);
    expect(directory.find(made.presented)).toBe(caller);
    directory.apply([sampleKey({ id: 'key_other', hash: admin.hash })]);
    expect(directory.find(made.presented)).toBe(caller);
  });

  test.each<[string, TenantObject]>([
    ['its organization', sampleOrganization({ name: 'renamed' })],
    ['its workspace', sampleWorkspace({ name: 'renamed' })],
    ['the key itself', key({ name: 'renamed' })],
    ['an action on the organization', sampleAction({ subject: { kind: 'organization', id: 'org_one' } })],
    ['an action on the workspace', sampleAction({ subject: { kind: 'workspace', id: 'ws_one' } })],
    ['an action on the key', sampleAction({ organization: 'org_elsewhere' })],
  ])('a change of %s is another caller at once', (_, object) => {
    const { directory } = directoryWith(key());
    const before = directory.find(made.presented);
    directory.apply([object]);
    const after = directory.find(made.presented);
    expect(after).not.toBeNull();
    expect(after).not.toBe(before);
    expect(seenOf(after)).not.toEqual(seenOf(before));
    if (object.kind === 'action') {
      directory.apply([], [{ kind: 'action', id: object.id }]);
      expect(seen(directory, made.presented)).toEqual(seenOf(before));
    }
  });

  test('a revoked key is nobody from the moment it is applied, and so is one that cannot be read any more', () => {
    const { directory } = directoryWith(key());
    expect(directory.find(made.presented)).not.toBeNull();
    directory.apply([key({ revokedAtMs: 9_999_999 })]);
    expect(directory.find(made.presented)).toBeNull();
    directory.apply([key()]);
    expect(directory.find(made.presented)).not.toBeNull();
    directory.apply([], [{ kind: 'key', id: 'key_one' }]);
    expect(directory.find(made.presented)).toBeNull();
  });

  test('a remembered key ends with the millisecond in which it expires', () => {
    const { directory, at } = directoryWith(key({ expiresAtMs: 5_000 }));
    expect(directory.find(made.presented)).not.toBeNull();
    at.nowMs = 4_999;
    expect(directory.find(made.presented)).not.toBeNull();
    at.nowMs = 5_000;
    expect(directory.find(made.presented)).toBeNull();
  });

  test('a suspended caller is found and known as such, and is in good standing again when that expires', () => {
    const { directory, at } = directoryWith(key(), sampleAction({ rung: 'suspend_key', expiresAtMs: 5_000 }));
    const suspended = directory.find(made.presented);
    expect(suspended?.standing.suspended?.id).toBe('act_one');
    at.nowMs = 5_000;
    expect(directory.find(made.presented)?.standing.suspended).toBeNull();
    expect(directory.actionsFor({ kind: 'key', id: 'key_one' })).toEqual([]);
  });

  test.each<[string, TenantObject]>([
    ['organization is closed', sampleOrganization({ closedAtMs: 1 })],
    ['workspace is closed', sampleWorkspace({ closedAtMs: 1 })],
    ["workspace is another organization's", sampleWorkspace({ organization: 'org_two' })],
  ])('a key whose %s is nobody', (_, object) => {
    const { directory } = directoryWith(key());
    expect(directory.find(made.presented)).not.toBeNull();
    directory.apply([object]);
    expect(directory.find(made.presented)).toBeNull();
  });

  test('a key that was tried before it was there works as soon as it is', () => {
    const { directory } = directoryWith();
    expect(directory.find(made.presented)).toBeNull();
    directory.apply([key()]);
    expect(directory.find(made.presented)?.id).toBe('key_one');
  });

  test('keys of version 0.1, without a checksum, are found; under another pepper nothing is', () => {
    const old = `plimsoll_api_${'k'.repeat(43)}`;
    const { directory } = directoryWith(sampleKey({ hash: hashKey(old, pepper) }));
    expect(directory.find(old)?.id).toBe('key_one');
    const other = createTenantDirectory({ pepper: Buffer.alloc(32, 8), wallMs: () => 0 });
    other.apply([sampleOrganization(), sampleWorkspace(), sampleKey({ hash: hashKey(old, pepper) })]);
    expect(other.find(old)).toBeNull();
  });

  test('a key that moved in from another gateway is found by its plain SHA-256, whatever it looks like', () => {
    for (const foreign of ['sk-1234', `plimsoll_api_${'z'.repeat(43)}`]) {
      const { directory } = directoryWith(
        key(),
        sampleKey({ id: 'key_moved', hash: { kind: 'sha256', hex: createHash('sha256').update(foreign).digest('hex') } }),
      );
      expect(directory.find(foreign)?.id).toBe('key_moved');
      expect(directory.find(made.presented)?.id).toBe('key_one');
      expect(directory.find(`${foreign} `)).toBeNull();
    }
  });

  test('what is stored is no key: neither a digest nor its bytes let anyone in', () => {
    const { directory } = directoryWith(
      key(),
      sampleKey({ id: 'key_moved', hash: { kind: 'sha256', hex: createHash('sha256').update('sk-1').digest('hex') } }),
    );
    for (const guess of [
      made.hash.hex,
      Buffer.from(made.hash.hex, 'hex').toString('latin1'),
      '',
      '__proto__',
      'x'.repeat(100_000),
    ])
      expect(directory.find(guess)).toBeNull();
  });

  test('an unknown-key flood is remembered within a bound', () => {
    const { directory } = directoryWith(key());
    for (let guess = 0; guess < 12_000; guess++)
      expect(directory.find(`plimsoll_api_${String(guess).padStart(43, 'x')}`)).toBeNull();
    expect(directory.counts().unknown).toBeLessThanOrEqual(10_000);
    // What is mistyped, or cannot be a key at all, is not even remembered.
    const before = directory.counts().unknown;
    for (let guess = 0; guess < 1_000; guess++)
      expect(directory.find(`plimsoll_api_${guess}`) ?? directory.find(`sk-${guess}`)).toBeNull();
    expect(directory.counts().unknown).toBe(before);
    expect(directory.find(made.presented)).not.toBeNull();
  });
});

test('an end user is found in its own organization only', () => {
  const { directory } = directoryWith({ kind: 'end_user', id: 'usr_a', organization: 'org_one', limits: {}, createdAtMs: 1 });
  expect(directory.endUser('org_one', 'usr_a')?.id).toBe('usr_a');
  expect(directory.endUser('org_two', 'usr_a')).toBeNull();
  expect(directory.endUser('org_one', 'usr_b')).toBeNull();
});

// Two hundred histories of up to forty changes, each looked at after every change.
test('whatever changes in any order, every key is judged as by reading all objects anew, and no caller is stale', () => {
  const keys = Array.from({ length: 4 }, (_, number) => newKey(number === 3 ? 'admin' : 'api', pepper));
  const number = fc.integer({ min: 0, max: 1 });
  const expiresAtMs = fc.option(fc.integer({ min: 1, max: 30 }));
  const closedAtMs = fc.option(fc.constant(1), { freq: 4 });
  const organization = fc
    .record({ n: number, closedAtMs })
    .map(({ n, ...more }) => sampleOrganization({ id: `org_${n}`, organization: `org_${n}`, ...more }));
  const workspace = fc
    .record({ n: number, of: number, closedAtMs })
    .map(({ n, of, ...more }) => sampleWorkspace({ id: `ws_${n}`, organization: `org_${of}`, ...more }));
  const someKey = fc
    .record({ n: fc.integer({ min: 0, max: 3 }), of: number, ws: fc.option(number), expiresAtMs, revokedAtMs: closedAtMs })
    .map(({ n, of, ws, ...more }) =>
      sampleKey({
        id: `key_${n}`,
        organization: `org_${of}`,
        workspace: ws === null ? null : `ws_${ws}`,
        use: n === 3 ? 'admin' : 'api',
        hash: keys[n]!.hash,
        ...more,
      }),
    );
  const action = fc
    .record({
      id: fc.integer({ min: 0, max: 3 }),
      kind: fc.constantFrom('organization' as const, 'workspace' as const, 'key' as const),
      n: number,
      rung: fc.constantFrom('note' as const, 'slow' as const, 'suspend_key' as const, 'suspend_organization' as const),
      expiresAtMs,
      reversedAtMs: closedAtMs,
    })
    .map(({ id, kind, n, ...more }) =>
      sampleAction({
        id: `act_${id}`,
        subject: { kind, id: `${{ organization: 'org', workspace: 'ws', key: 'key' }[kind]}_${n}` },
        ...more,
      }),
    );
  const change = fc.oneof(
    fc.record({
      put: fc.oneof<fc.Arbitrary<TenantObject>[]>(organization, workspace, someKey, action),
      isDropped: fc.boolean(),
    }),
    fc.record({ passMs: fc.integer({ min: 1, max: 5 }) }),
  );
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 40 }), (changes) => {
      const at = { nowMs: 0 };
      const directory = createTenantDirectory({ pepper, wallMs: () => at.nowMs });
      const model = new Map<string, TenantObject>();
      for (const one of changes) {
        if ('passMs' in one) at.nowMs += one.passMs;
        else {
          const name = `${one.put.kind} ${one.put.id}`;
          if (one.isDropped && model.has(name)) {
            directory.apply([], [one.put]);
            model.delete(name);
          } else {
            directory.apply([one.put]);
            model.set(name, one.put);
          }
        }
        keys.forEach(({ presented }, n) => expect(seen(directory, presented)).toEqual(expected(model, n, at.nowMs)));
      }
    }),
    { numRuns: 200 },
  );
});

function seen(directory: TenantDirectory, presented: string): unknown {
  return seenOf(directory.find(presented));
}

function seenOf(caller: Caller | null): unknown {
  return caller && [caller.key, caller.tenant, caller.standing];
}

function expected(model: ReadonlyMap<string, TenantObject>, n: number, nowMs: number): unknown {
  const found = model.get(`key key_${n}`) as Key | undefined;
  if (!found) return null;
  const organization = (model.get(`organization ${found.organization}`) ?? null) as Organization | null;
  const workspace = (found.workspace === null ? null : (model.get(`workspace ${found.workspace}`) ?? null)) as Workspace | null;
  if (usabilityOf(found, { organization, workspace }, nowMs).kind !== 'usable') return null;
  const subjects = [`organization ${found.organization}`, `workspace ${found.workspace}`, `key ${found.id}`];
  const actions = [...model.values()].filter(
    (object): object is Action =>
      object.kind === 'action' && subjects.includes(`${object.subject.kind} ${object.subject.id}`) && isInForce(object, nowMs),
  );
  return [found, { organization, workspace }, standingOf(actions, nowMs)];
}

test('after a whole read of the store only what was in it is left', () => {
  const { directory } = directoryWith(key(), sampleAction(), sampleKey({ id: 'key_gone', hash: admin.hash }));
  directory.keepOnly(new Set(['organization org_one', 'workspace ws_one', 'key key_one']));
  expect(directory.find(made.presented)).not.toBeNull();
  expect(directory.find(admin.presented)).toBeNull();
  expect(directory.counts()).toMatchObject({ organizations: 1, workspaces: 1, keys: 1, actions: 0 });
});

test('keys take less than 200 bytes each in the tables', () => {
  const { directory } = directoryWith();
  const count = 20_000;
  for (let n = 0; n < count; n++) {
    const hex = createHash('sha256').update(String(n)).digest('hex');
    directory.apply([
      sampleKey({
        id: `key_${hex.slice(0, 24)}`,
        organization: `org_${n % 100}`,
        workspace: `ws_${n % 100}`,
        createdBy: `member:mem_${hex.slice(0, 24)}`,
        createdAtMs: 1.7e12 + n,
        hash: { kind: 'hmac_sha256', hex },
      }),
    ]);
  }
  expect(directory.counts().bytes / count).toBeLessThan(200);
});
