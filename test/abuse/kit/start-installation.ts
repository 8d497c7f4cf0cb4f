import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { getRequestListener } from '@hono/node-server';
import { configSchema, type Config } from '#contracts/config';
import { createControl } from '#control';
import { createRemoteEngine } from '#engines';
import { buildTopology, createGateway, openTenants, type OpenTenants } from '#gateway';
import { createMemoryLog, createMetrics, createSystemRandom, createVirtualClock, type VirtualClock } from '#runtime';
import {
  awaitAcknowledged,
  createJournal,
  createMemoryLimits,
  hashKey,
  newKey,
  openControlStore,
  type AuditEntry,
  type ControlStore,
} from '#storage';
import { createAbuseWatch, type AbuseEvent, type AbuseWatch } from '#worker';
import { principalOf } from '../../../src/cli/principal-of.ts';
import { messagesAnswer, messagesRequest } from '../../gateway/kit/answers.ts';
import { ask, type Received } from '../../gateway/kit/client.ts';
import { startReplica } from '../../gateway/kit/scripted-replica.ts';
import { until } from '../../gateway/kit/until.ts';
import { poolOf, type ConfigInput } from '../../gateway/kit/start-gateway.ts';

/** A gateway with everything that watches it, put together as `serve` does: one process, one store, one clock that a test moves. */
export interface Installation {
  readonly clock: VirtualClock;
  readonly store: ControlStore;
  readonly watch: AbuseWatch;
  readonly tenants: OpenTenants;
  readonly events: readonly AbuseEvent[];
  /** Makes an organization with a workspace and a key. */
  newKey(): Promise<{ readonly organization: string; readonly id: string; readonly presented: string }>;
  /** One request of a key, from an address, as a trusted proxy names it. */
  call(presented: string, from?: string): Promise<Received>;
  /** Requests spread over minutes of the wall clock, so many in each. */
  traffic(
    presented: string,
    minutes: number,
    what: { readonly perMinute: (minute: number) => number; readonly from?: (request: number) => string },
  ): Promise<void>;
  /** Requests of a key from several addresses that are open at the same time, for so long. */
  together(presented: string, from: readonly string[], forMs: number): Promise<void>;
  /** Lets the watch count and judge what it has seen, and file what fired. */
  settle(): Promise<void>;
  admin(method: string, route: string, body?: unknown, key?: string): Promise<Asked>;
  /** Cases of an organization, as a reviewer sees them. */
  casesOf(organization: string): Promise<Asked['body']>;
  /** The audit log of an organization, oldest first. */
  auditOf(organization: string): Promise<readonly AuditEntry[]>;
  close(): Promise<void>;
}

export interface Asked {
  readonly status: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into answers of every shape
  readonly body: any;
}

const MINUTE = 60_000;
/** Lists are read in a thread, which takes its time to begin. */
const LISTS_MS = 20_000;
const PEPPER = Buffer.alloc(32, 5);
/** A midnight, so that a test knows when a day ends. */
const START_MS = Date.UTC(2026, 5, 1);

export async function startInstallation(abuse: ConfigInput['abuse']): Promise<Installation> {
  const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-abuse-'));
  const clock = createVirtualClock({ wallMs: START_MS });
  const random = createSystemRandom();
  const log = createMemoryLog();
  const events: AbuseEvent[] = [];
  const held: (() => void)[] = [];
  let isHolding = false;
  const replica = await startReplica(
    (exchange) => {
      const respond = (): void => exchange.respond(200, messagesAnswer('To the mark.'));
      if (isHolding) held.push(respond);
      else respond();
    },
    () => undefined,
  );
  const config: Config = configSchema.parse(
    poolOf([replica], {
      rest: {
        listen: { port: 0, trusted_proxies: ['127.0.0.1/32'] },
        limits: { defaults: { rpm: 1_000_000 }, appeal_url: 'https://operator.example/appeal' },
        timeouts: { drain_ms: 100 },
        abuse,
      },
    }),
  );
  const store = await openControlStore({ kind: 'embedded', directory: path.join(folder, 'store') });
  const journal = await createJournal({
    directory: path.join(folder, 'journal'),
    clock,
    random,
    syncIntervalMs: 5,
    bytesMax: 16 * 1024 * 1024,
    onEvent: ({ kind }) => log.warn('journal', { kind }),
  });
  const tenants = await openTenants({
    store,
    dataDirectory: folder,
    pepper: PEPPER,
    clock,
    random,
    gateway: { id: journal.id, name: 'test' },
    onEvent: ({ message }) => log.info(message),
  });
  const limits = createMemoryLimits({ clock, subjectsMax: 10_000 });
  const metrics = createMetrics();
  const watch = createAbuseWatch({
    config: config.abuse,
    clock,
    store,
    seed: [1, 2],
    onCommitted: tenants.committed,
    onEvent: (event) => events.push(event),
  });
  if (abuse?.lists?.places?.length)
    await until(() => events.some(({ message }) => message.includes('in use')), 'the lists are in use', LISTS_MS);
  const control = createControl({
    authenticate: (header) => principalOf(header, tenants.directory),
    store,
    onCommitted: tenants.committed,
    onDefect: (error, route) => log.error(route, { error: String(error) }),
    clock,
    random,
    newKey: (use) => newKey(use, PEPPER),
    hashKey: (presented) => hashKey(presented, PEPPER),
    findKey: (hash) => tenants.directory.keyIdOf(hash),
    endUserId: tenants.endUserId,
    awaitAcknowledged: (commit, withinMs) => awaitAcknowledged({ store, clock, commit, withinMs }),
    limits: { problemOf: () => null, rulesOf: () => [], explain: () => Promise.resolve(null) },
    signals: () => null,
    renderMetrics: metrics.render,
    status: () => ({}),
    usage: () => Promise.resolve({ ok: true, value: [] }),
  });
  const operator = getRequestListener(control.fetch);
  const gateway = createGateway({
    config,
    topology: buildTopology(config, (pool) =>
      (pool.replicas ?? []).map(({ id, url }) => ({
        id,
        engine: createRemoteEngine({
          url,
          dialect: 'anthropic',
          key: null,
          auth: 'x-api-key',
          hasResponses: false,
          connectionsMax: 16,
          connectTimeoutMs: 1_000,
          keepAliveMs: 60_000,
        }),
      })),
    ),
    clock,
    random,
    log,
    journal,
    tenants,
    limits,
    metrics,
    operator: (incoming, outgoing) => void operator(incoming, outgoing),
    onRecord: (record, seen) => watch.observe(record, seen),
  });
  const { port } = await gateway.listen();
  const adminKey = String(JSON.parse(readFileSync(tenants.firstKeysPath, 'utf8')).admin_key);

  const installation: Installation = {
    clock,
    store,
    watch,
    tenants,
    events,
    async newKey() {
      const organization = (await installation.admin('POST', '/admin/v1/organizations', { name: 'An organization' })).body.id;
      const workspace = (await installation.admin('POST', '/admin/v1/workspaces', { organization, name: 'A workspace' })).body.id;
      const made = await installation.admin('POST', '/admin/v1/keys', { organization, workspace, name: 'A key' });
      return { organization, id: made.body.id, presented: made.body.secret };
    },
    call: (key, from = '192.0.2.1') =>
      ask(port, { path: '/v1/messages', key, body: messagesRequest(), headers: { 'x-forwarded-for': from } }),
    async traffic(key, minutes, { perMinute, from = () => '192.0.2.1' }) {
      let requests = 0;
      for (let minute = 0; minute < minutes; minute++) {
        for (let left = perMinute(minute); left > 0; left--) await installation.call(key, from(requests++));
        await clock.advance(2);
        clock.stepWall(MINUTE);
      }
      await installation.settle();
    },
    async together(key, from, forMs) {
      isHolding = true;
      const open = from.map((address) => installation.call(key, address));
      await until(() => held.length === from.length, 'every request is open');
      isHolding = false;
      await clock.advance(forMs);
      for (const respond of held.splice(0)) respond();
      await Promise.all(open);
      await installation.settle();
    },
    async settle() {
      for (;;) {
        await clock.advance(2);
        const { waitingToCount, waitingToJudge, waiting, awaySinceMs } = watch.status();
        if (waitingToCount + waitingToJudge === 0 && (waiting === 0 || awaySinceMs !== null)) return;
      }
    },
    async admin(method, route, body, key = adminKey) {
      const response = await fetch(`http://127.0.0.1:${port}${route}`, {
        method,
        headers: { 'x-api-key': key },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, body: await response.json() };
    },
    async casesOf(organization) {
      return (await installation.admin('GET', `/admin/v1/cases?organization=${organization}`)).body.data;
    },
    auditOf: (organization) => store.audit({ organization, after: 0, max: 1_000 }),
    async close() {
      await gateway.close();
      await Promise.all([watch.close(), limits.close(), tenants.close(), replica.close()]);
      await journal.close();
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return installation;
}
