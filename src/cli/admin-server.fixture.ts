import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { getRequestListener } from '@hono/node-server';
import type { Key, TenantObject } from '#contracts/tenancy';
import { createControl, type Principal, type RuleInForce } from '#control';
import { createTenantDirectory, type TenantDirectory } from '#gateway';
import { createSystemClock, createSystemRandom } from '#runtime';
import { awaitAcknowledged, hashKey, newKey, openControlStore, type ControlStore } from '#storage';

/** The admin API on a loopback port over a real store, with the gateway's own directory of tenants. */
export interface AdminServer {
  readonly url: string;
  /** An admin key that reaches the installation, of the organization `org_first` with the workspace `ws_first`. */
  readonly adminKey: string;
  readonly directory: TenantDirectory;
  readonly store: ControlStore;
  readonly folder: string;
  readonly close: () => Promise<void>;
}

export async function startAdminServer(): Promise<AdminServer> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'plimsoll-cli-'));
  const store = await openControlStore({ kind: 'embedded', directory: path.join(folder, 'store') });
  const clock = createSystemClock();
  const pepper = Buffer.alloc(32, 9);
  const directory = createTenantDirectory({ pepper, wallMs: clock.wallMs });
  const idsByHash = new Map<string, string>();
  const apply = (objects: readonly TenantObject[]): void => {
    directory.apply(objects);
    for (const object of objects) if (object.kind === 'key') idsByHash.set(object.hash.hex, object.id);
  };
  const admin = newKey('admin', pepper);
  const first = firstObjects({ hash: admin.hash, hint: admin.hint });
  const audit = { atMs: 0, actor: 'system', act: 'first', organization: null, subject: 'org_first', details: {} };
  await store.commit({ put: first.map((object) => ({ object, expectVersion: 0 })), audit });
  apply(first);
  const control = createControl({
    authenticate: (header) => principalOf(directory, header('x-api-key') ?? ''),
    store,
    clock,
    random: createSystemRandom(),
    newKey: (use) => newKey(use, pepper),
    hashKey: (presented) => hashKey(presented, pepper),
    findKey: ({ hex }) => idsByHash.get(hex) ?? null,
    endUserId: (organization, user) => `eu_${hashKey(`${organization} ${user}`, pepper).hex.slice(0, 24)}`,
    awaitAcknowledged: (commit, withinMs) => awaitAcknowledged({ store, clock, commit, withinMs }),
    limits: { problemOf: () => null, rulesOf: () => RULES, explain: () => Promise.resolve(null) },
    signals: () => null,
    renderMetrics: () => '',
    status: () => ({}),
    usage: () => Promise.resolve({ ok: true, value: [] }),
    onCommitted: (objects) => apply(objects.map(({ object }) => object)),
    onDefect: (error) => console.error(error),
  });
  const listener = getRequestListener(control.fetch);
  const server = createServer((incoming, outgoing) => void listener(incoming, outgoing));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    adminKey: admin.presented,
    directory,
    store,
    folder,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await store.close();
      await rm(folder, { recursive: true });
    },
  };
}

function principalOf(directory: TenantDirectory, presented: string): Principal | null {
  const caller = directory.find(presented);
  if (caller === null) return null;
  const { use, role, reach, organization, id } = caller.key;
  return { actor: `key:${id}`, use, role, reach: reach ?? 'organization', organization };
}

function firstObjects(key: Pick<Key, 'hash' | 'hint'>): readonly TenantObject[] {
  const of = { organization: 'org_first', createdAtMs: 0, limits: {} };
  return [
    {
      kind: 'organization',
      id: 'org_first',
      name: 'First',
      tier: null,
      whenCutOff: { kind: 'serve' },
      appealUrl: null,
      closedAtMs: null,
      ...of,
    },
    { kind: 'workspace', id: 'ws_first', name: 'First', closedAtMs: null, ...of },
    {
      kind: 'key',
      id: 'key_first',
      workspace: null,
      name: 'first',
      use: 'admin',
      role: 'admin',
      reach: 'installation',
      member: null,
      ...key,
      scopes: {},
      createdBy: 'system',
      expiresAtMs: null,
      revokedAtMs: null,
      replacedBy: null,
      ...of,
    },
  ];
}

/** The rules that the default configuration has for every tenant. */
const RULES: readonly RuleInForce[] = (
  [
    ['rpm', 'key', 'requests', 600],
    ['tpm', 'key', 'total_tokens', 1e6],
    ['concurrency', 'key', 'concurrency', 64],
    ['workspace-rpm', 'workspace', 'requests', 6_000],
    ['workspace-tpm', 'workspace', 'total_tokens', 1e7],
    ['spend-month', 'organization', 'spend', 1e12],
    ['key-spend-month', 'key', 'spend', 1e12],
    ['workspace-spend-month', 'workspace', 'spend', 1e12],
  ] as const
).map(([rule, per, of, limit]) => ({
  rule,
  per: [per],
  of,
  limit,
  burst: limit,
  window: '1m',
  modelClasses: null,
  whenAway: 'local_share',
  isLeased: true,
  isDryRun: false,
}));
