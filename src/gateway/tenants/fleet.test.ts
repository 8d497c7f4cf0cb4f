import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import type { TenantObject } from '#contracts/tenancy';
import { createSystemClock, createSystemRandom } from '#runtime';
import { sampleKey, sampleOrganization, sampleWorkspace } from '#contracts/tenancy-kit.fixture';
import { awaitAcknowledged, connectControlStore, newKey, openControlStore, StoreAway } from '#storage';
import { openTenants, type OpenTenants } from './open-tenants.ts';
import { changeOf, wireTo, type Wire } from './tenants-kit.fixture.ts';

const url = process.env.PLIMSOLL_TEST_POSTGRES;
const because =
  url === undefined ? ' (skipped: PLIMSOLL_TEST_POSTGRES names no server; scripts/with-postgres.sh starts one)' : '';
const clock = createSystemClock();
const pepper = Buffer.alloc(32, 2);
const root = await mkdtemp(path.join(tmpdir(), 'plimsoll-fleet-'));
afterAll(() => rm(root, { recursive: true, force: true }));

interface Member {
  readonly name: string;
  readonly wire: Wire;
  readonly tenants: OpenTenants;
  close(): Promise<void>;
}

/** A gateway with connections, a way to the server and a data directory of its own. */
async function join(name: string, schema: string): Promise<Member> {
  const wire = await wireTo(url ?? '');
  const store = connectControlStore({ kind: 'postgres', url: wire.url, schema }, { clock });
  const dataDirectory = path.join(root, `${schema}-${name}`);
  const gateway = { id: `gw_${name}`, name };
  const tenants = await openTenants({
    store,
    dataDirectory,
    pepper,
    clock,
    random: createSystemRandom(),
    gateway,
    onEvent: () => undefined,
  });
  return {
    name,
    wire,
    tenants,
    async close() {
      await tenants.close();
      await store.close();
      wire.close();
    },
  };
}

const key = (n: number, hash: ReturnType<typeof newKey>['hash']) =>
  sampleKey({ id: `key_fleet${n}`, organization: 'org_fleet', workspace: 'ws_fleet', hash });

// Real servers, pools and polls: each step takes what it takes.
test.skipIf(url === undefined)(
  `a revocation reaches every gateway that can be reached in well under 5 s, and those that cannot are named${because}`,
  async () => {
    const schema = `plimsoll_fleet_${process.pid}`;
    const members = await Promise.all(['one', 'two', 'three'].map((name) => join(name, schema)));
    expect(members.filter(({ tenants }) => tenants.isNew)).toHaveLength(1);
    const admin = await openControlStore({ kind: 'postgres', url: url ?? '', schema });
    const commit = async (...change: readonly (readonly [TenantObject, number])[]): Promise<number> => {
      const answer = await admin.commit(changeOf(...change));
      if (answer.kind !== 'committed') throw new Error(`conflict on ${answer.id}`);
      return answer.commit;
    };
    const made = Array.from({ length: 6 }, () => newKey('api', pepper));
    await commit(
      [sampleOrganization({ id: 'org_fleet', organization: 'org_fleet' }), 0],
      [sampleWorkspace({ id: 'ws_fleet', organization: 'org_fleet' }), 0],
      ...made.map(({ hash }, n) => [key(n, hash), 0] as const),
    );
    await vi.waitUntil(
      () => members.every(({ tenants }) => made.every(({ presented }) => tenants.find(presented) !== null)),
      5_000,
    );

    // Everyone can be reached.
    for (const n of [0, 1, 2]) {
      const startMs = performance.now();
      const revoked = await commit([{ ...key(n, made[n]!.hash), revokedAtMs: 1 }, 1]);
      const { acknowledged, missing } = await awaitAcknowledged({ store: admin, clock, commit: revoked, withinMs: 5_000 });
      expect(missing).toEqual([]);
      expect(acknowledged.map(({ name }) => name).toSorted()).toEqual(['one', 'three', 'two']);
      // Acknowledged is refused, everywhere.
      for (const { tenants } of members) expect(tenants.find(made[n]!.presented)).toBeNull();
      expect(performance.now() - startMs).toBeLessThan(3_000);
    }

    // One is cut off and one hangs: the third does not wait for them, and both serve on whom they know.
    const [one, two, three] = members as [Member, Member, Member];
    one.wire.state = 'cut';
    two.wire.state = 'frozen';
    const revoked = await commit([{ ...key(3, made[3]!.hash), revokedAtMs: 1 }, 1]);
    const cut = await awaitAcknowledged({ store: admin, clock, commit: revoked, withinMs: 1_500 });
    expect(cut.acknowledged.map(({ name }) => name)).toEqual(['three']);
    expect(cut.missing.map(({ name }) => name).toSorted()).toEqual(['one', 'two']);
    expect(three.tenants.find(made[3]!.presented)).toBeNull();
    for (const { tenants } of [one, two]) expect(tenants.find(made[4]!.presented)).not.toBeNull();
    await vi.waitUntil(() => one.tenants.cutOffForMs() > 0 && two.tenants.cutOffForMs() > 0, 10_000);

    // And both hear of it by themselves when they can.
    one.wire.state = 'whole';
    two.wire.state = 'whole';
    await vi.waitUntil(() => members.every(({ tenants }) => tenants.find(made[3]!.presented) === null), 15_000);
    const healed = await awaitAcknowledged({ store: admin, clock, commit: revoked, withinMs: 5_000 });
    expect(healed.missing).toEqual([]);
    expect((await admin.verifyAudit()).brokenAt).toBeNull();

    // A gateway that starts again while the server is gone has its snapshot, and the revocations in it.
    await one.tenants.snapshot.flush();
    await one.close();
    const wire = await wireTo(url ?? '');
    wire.state = 'cut';
    const store = connectControlStore({ kind: 'postgres', url: wire.url, schema }, { clock });
    const again = await openTenants({
      store,
      dataDirectory: path.join(root, `${schema}-one`),
      pepper,
      clock,
      random: createSystemRandom(),
      gateway: { id: 'gw_one', name: 'one' },
      onEvent: () => undefined,
    });
    expect(again.find(made[5]!.presented)).not.toBeNull();
    for (const n of [0, 1, 2, 3]) expect(again.find(made[n]!.presented)).toBeNull();
    await expect(store.gateways(1)).rejects.toThrow(StoreAway);
    await again.close();
    await store.close();
    wire.close();
    await Promise.all([two.close(), three.close(), admin.close()]);
  },
);
