import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createSystemClock, createSystemRandom } from '#runtime';
import type { Key } from '#contracts/tenancy';
import { sampleKey, sampleOrganization, sampleWorkspace } from '#contracts/tenancy-kit.fixture';
import { mayServe } from '#core/tenancy';
import { newKey, openControlStore, StoreAway, type ControlStore } from '#storage';
import { openTenants, type OpenTenants, type OpenTenantsOptions } from './open-tenants.ts';
import { changeOf, doorTo, type Door } from './tenants-kit.fixture.ts';

// One embedded store for all tests, since it takes seconds to start; each has organizations, keys and a data directory of its own.
const clock = createSystemClock();
const pepper = Buffer.alloc(32, 9);
let root = '';
let real: ControlStore;
let names = 0;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'plimsoll-follow-'));
  real = await openControlStore({ kind: 'embedded', directory: path.join(root, 'store') });
});
afterAll(async () => {
  await real.close();
  await rm(root, { recursive: true, force: true });
});

interface Running {
  readonly tenants: OpenTenants;
  readonly events: string[];
}

async function start(store: ControlStore, name: string, more: Partial<OpenTenantsOptions> = {}): Promise<Running> {
  const events: string[] = [];
  const tenants = await openTenants({
    store,
    dataDirectory: path.join(root, name),
    pepper,
    clock,
    random: createSystemRandom(),
    gateway: { id: `gw_${name}`, name },
    onEvent: ({ message }) => events.push(message),
    ...more,
  });
  return { tenants, events };
}

/** A new organization with a workspace and a key in the store. */
async function addTenant(): Promise<{ readonly key: Key; readonly presented: string; readonly commit: number }> {
  const mark = `f${++names}x${process.pid}`;
  const { presented, hash, hint } = newKey('api', pepper);
  const organization = sampleOrganization({
    id: `org_${mark}`,
    organization: `org_${mark}`,
    whenCutOff: { kind: 'refuse', afterSeconds: 60 },
  });
  const workspace = sampleWorkspace({ id: `ws_${mark}`, organization: organization.id });
  const key = sampleKey({ id: `key_${mark}`, organization: organization.id, workspace: workspace.id, hash, hint });
  const answer = await real.commit(changeOf([organization, 0], [workspace, 0], [key, 0]));
  if (answer.kind !== 'committed') throw new Error('a new tenant is new');
  return { key, presented, commit: answer.commit };
}

async function revoke(key: Key): Promise<number> {
  const answer = await real.commit(changeOf([{ ...key, revokedAtMs: 5_000 }, 1]));
  return answer.kind === 'committed' ? answer.commit : 0;
}

/** The door, and whatever wakes those behind it, as a store of another process would be. */
const freshDoor = (): Door => doorTo(real);
const freshName = (): string => `data${++names}`;

test('a change reaches a gateway at once, and its acknowledgement says so', async () => {
  const { tenants } = await start(freshDoor().store, freshName());
  const { key, presented, commit } = await addTenant();
  expect(await tenants.caughtUp(commit, 5_000)).toBe(true);
  expect(tenants.find(presented)?.id).toBe(key.id);
  const revoked = await revoke(key);
  expect(await tenants.caughtUp(revoked, 5_000)).toBe(true);
  expect(tenants.find(presented)).toBeNull();
  expect((await real.gateways(60_000)).map(({ commit: applied }) => applied)).toContain(revoked);
  expect(tenants.cutOffForMs()).toBe(0);
  await tenants.close();
});

test('what was committed here holds at once, and neither a page that is on its way nor a late word of it brings older versions back', async () => {
  const { key, presented, commit } = await addTenant();
  const held = Promise.withResolvers<void>();
  let isHeld = false;
  let hasRenamed = false;
  // A page is read before the revocation, and arrives after it.
  const store: ControlStore = {
    ...real,
    async changesAfter(after, kinds, max) {
      const page = await real.changesAfter(after, kinds, max);
      hasRenamed ||= page.objects.some(({ object }) => object.id === key.id && 'name' in object && object.name === 'renamed');
      // A page from before is let through: it is the one with the new name that is wanted.
      if (isHeld && hasRenamed) await held.promise;
      return page;
    },
  };
  const { tenants } = await start(store, freshName());
  await tenants.caughtUp(commit, 5_000);
  isHeld = true;
  const renamed = await real.commit(changeOf([{ ...key, name: 'renamed' }, 1]));
  await vi.waitUntil(() => hasRenamed, 5_000);
  const revoked = { ...key, name: 'renamed', revokedAtMs: 5_000 };
  const answer = await real.commit(changeOf([revoked, 2]));
  if (answer.kind !== 'committed' || renamed.kind !== 'committed') throw new Error('nobody else changes this key');
  tenants.committed([{ object: revoked, version: 3, commit: answer.commit }]);
  expect(tenants.find(presented)).toBeNull();
  isHeld = false;
  held.resolve();
  await tenants.caughtUp(renamed.commit, 5_000);
  expect(tenants.find(presented)).toBeNull();
  await tenants.caughtUp(answer.commit, 5_000);
  tenants.committed([{ object: { ...key, name: 'renamed' }, version: 2, commit: renamed.commit }]);
  expect(tenants.find(presented)).toBeNull();
  await tenants.close();
});

test('a gateway that ends in good order is not waited for', async () => {
  const name = freshName();
  const { tenants } = await start(freshDoor().store, name);
  expect((await real.gateways(60_000)).map(({ id }) => id)).toContain(`gw_${name}`);
  await tenants.close();
  expect((await real.gateways(60_000)).map(({ id }) => id)).not.toContain(`gw_${name}`);
});

// Polls and back-offs are seconds long, and are waited for.
test('with the store gone a gateway serves whom it knows, says so once, knows how long, and hears again by itself', async () => {
  const door = freshDoor();
  const { key, presented } = await addTenant();
  const { tenants, events } = await start(door.store, freshName());
  expect(tenants.find(presented)).not.toBeNull();
  door.isOpen = false;
  await vi.waitUntil(() => tenants.cutOffForMs() > 0, 10_000);
  expect(tenants.find(presented)?.id).toBe(key.id);
  expect(tenants.status().awayBecause).toBe('the door is shut');
  expect(events.filter((message) => /served from memory/.test(message))).toHaveLength(1);
  const { whenCutOff } = tenants.find(presented)!.tenant.organization;
  expect(mayServe(whenCutOff, tenants.cutOffForMs())).toBe(true);
  const revoked = await revoke(key);
  expect(await tenants.caughtUp(revoked, 50)).toBe(false);
  door.isOpen = true;
  expect(await tenants.caughtUp(revoked, 10_000)).toBe(true);
  expect(tenants.find(presented)).toBeNull();
  expect(tenants.cutOffForMs()).toBe(0);
  expect(events.at(-1)).toMatch(/answers again/);
  await tenants.close();
});

test('a gateway that starts while the store is gone serves from its snapshot, and goes on counting how long it is cut off', async () => {
  const name = freshName();
  const { key, presented } = await addTenant();
  const gone = await addTenant();
  await revoke(gone.key);
  const first = await start(freshDoor().store, name);
  await first.tenants.close();

  const door = freshDoor();
  door.isOpen = false;
  const { tenants } = await start(door.store, name, { clock: { ...clock, wallMs: () => Date.now() + 90_000 } });
  expect(tenants.find(presented)?.id).toBe(key.id);
  expect(tenants.find(gone.presented)).toBeNull();
  expect(tenants.isNew).toBe(false);
  // It was heard of 90 s ago, before the restart: longer than this organization lets it serve.
  expect(tenants.cutOffForMs()).toBeGreaterThanOrEqual(90_000);
  expect(mayServe(tenants.find(presented)!.tenant.organization.whenCutOff, tenants.cutOffForMs())).toBe(false);
  await revoke(key);
  door.isOpen = true;
  await vi.waitUntil(() => tenants.find(presented) === null, 10_000);
  expect(tenants.cutOffForMs()).toBe(0);
  await tenants.close();
});

test('without a store and without a snapshot there is nobody to serve, and the start ends in words', async () => {
  const door = freshDoor();
  const store = { ...door.store, list: () => Promise.reject(new StoreAway('no such host')) };
  door.isOpen = false;
  await expect(start(store, freshName(), { startMs: 300 })).rejects.toThrow(StoreAway);
});

test('unknown keys make the store do nothing, however many there are', async () => {
  const door = freshDoor();
  const { tenants } = await start(door.store, freshName());
  await tenants.caughtUp(0, 1_000);
  door.isOpen = false;
  const before = door.calls;
  for (let guess = 0; guess < 5_000; guess++) tenants.find(`plimsoll_api_${String(guess).padStart(43, 'x')}`);
  // In one turn of the loop nothing but the keys can have called.
  expect(door.calls).toBe(before);
  expect(tenants.directory.counts().unknown).toBeLessThanOrEqual(10_000);
  door.isOpen = true;
  await tenants.close();
});

test('an empty or foreign store is not believed: tenants are served on from memory, and an error says so', async () => {
  const name = freshName();
  const { presented } = await addTenant();
  const first = await start(freshDoor().store, name);
  await first.tenants.close();
  const empty: ControlStore = {
    ...real,
    changesAfter: () => Promise.resolve({ objects: [], unreadable: [], throughCommit: 0, throughHash: '', hasMore: false }),
    audit: () => Promise.resolve([]),
  };
  const { tenants, events } = await start(empty, name);
  await vi.waitUntil(() => tenants.status().awayBecause !== null, 5_000);
  expect(tenants.find(presented)).not.toBeNull();
  expect(events.join('\n')).toMatch(/empty, or another installation/);
  await tenants.close();
});

test('a store that lost its last commits is read anew, and what was only in them is gone', async () => {
  const name = freshName();
  const kept = await addTenant();
  const lost = await addTenant();
  const first = await start(freshDoor().store, name);
  expect(first.tenants.find(lost.presented)).not.toBeNull();
  await first.tenants.close();
  // As after a failover: the commit of the second tenant was never there, and its number went to another.
  const setBack: ControlStore = {
    ...real,
    async changesAfter(after, kinds, max) {
      const page = await real.changesAfter(after, kinds, max);
      const objects = page.objects.filter(({ commit }) => commit !== lost.commit);
      return { ...page, objects, throughHash: `other ${page.throughHash}` };
    },
  };
  const { tenants, events } = await start(setBack, name);
  await vi.waitUntil(() => tenants.find(lost.presented) === null, 5_000);
  expect(tenants.find(kept.presented)).not.toBeNull();
  expect(events.join('\n')).toMatch(/has lost commits that were applied here/);
  await tenants.snapshot.flush();
  await tenants.close();
});

test('what a newer version wrote and this one cannot read is not served as it was before', async () => {
  const { key, presented, commit } = await addTenant();
  let isUnreadable = false;
  const store: ControlStore = {
    ...real,
    async changesAfter(after, kinds, max) {
      if (isUnreadable && after >= commit)
        return {
          objects: [],
          unreadable: [{ kind: 'key', id: key.id }],
          throughCommit: after + 1,
          throughHash: 'x',
          hasMore: false,
        };
      return real.changesAfter(after, kinds, max);
    },
    audit: real.audit,
  };
  const { tenants } = await start(store, freshName());
  expect(tenants.find(presented)).not.toBeNull();
  isUnreadable = true;
  await vi.waitUntil(() => tenants.find(presented) === null, 5_000);
  await tenants.close();
});
