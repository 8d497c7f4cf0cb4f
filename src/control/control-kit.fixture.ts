import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Role, TenantObject } from '#contracts/tenancy';
import { createVirtualClock, createSystemRandom, type VirtualClock } from '#runtime';
import { awaitAcknowledged, hashKey, newKey, openControlStore, type ControlStore, type Versioned } from '#storage';
import { createControl, type ControlOptions } from './create-control.ts';
import type { RuleInForce } from './limit-views.ts';
import type { Principal } from './principal.ts';

/** A real store and a real admin API over it, with callers by name instead of by key. */
export interface AdminKit {
  readonly store: ControlStore;
  readonly clock: VirtualClock;
  readonly options: ControlOptions;
  /** Everything that this gateway was told of. */
  readonly applied: Versioned<TenantObject>[];
  /** What was said of defects. */
  readonly defects: unknown[];
  /** Makes a caller known. @returns what it presents */
  readonly caller: (principal: Partial<Principal> & { readonly organization: string }) => string;
  readonly ask: (caller: string, method: string, route: string, body?: unknown) => Promise<Asked>;
  readonly close: () => Promise<void>;
}

export interface Asked {
  readonly status: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into answers of every shape
  readonly body: any;
  readonly text: string;
}

const PEPPER = Buffer.alloc(32, 7);

export async function openAdminKit(): Promise<AdminKit> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'plimsoll-admin-'));
  const store = await openControlStore({ kind: 'embedded', directory });
  const clock = createVirtualClock();
  const applied: Versioned<TenantObject>[] = [];
  const defects: unknown[] = [];
  const callers = new Map<string, Principal>();
  const idsByHash = new Map<string, string>();
  const options: ControlOptions = {
    authenticate: (header) => callers.get(header('x-api-key') ?? '') ?? null,
    store,
    clock,
    random: createSystemRandom(),
    newKey: (use) => newKey(use, PEPPER),
    hashKey: (presented) => hashKey(presented, PEPPER),
    findKey: ({ hex }) => idsByHash.get(hex) ?? null,
    endUserId: (organization, user) => `eu_${hashKey(`${organization} ${user}`, PEPPER).hex.slice(0, 24)}`,
    awaitAcknowledged: (commit, withinMs) => awaitAcknowledged({ store, clock, commit, withinMs }),
    limits: {
      problemOf: (rule, { limit }) => (limit === 999_999_999_989 ? `${rule}: choose a rounder limit` : null),
      rulesOf: ({ tier }) => RULES.map((rule) => (tier === 'large' ? { ...rule, limit: rule.limit * 10 } : rule)),
      explain: (id) =>
        Promise.resolve({
          limits: RULES.slice(0, 1).map((rule) => ({
            ...rule,
            subject: id,
            left: 5,
            fullInMs: 100,
            by: 'exact',
            bounds: { overshoot: 0, stranded: 0, staleMs: 0 },
          })),
          bindsNext: { rule: 'rpm', subject: id, because: '5 of 600 are left' },
        }),
    },
    signals: ({ kind, id }) => (id === 'key_seen' ? { subject: { kind, id }, values: {}, errors: {}, rules: [] } : null),
    renderMetrics: () => 'plimsoll_requests 1\n',
    status: () => ({ ready: true }),
    usage: () => Promise.resolve({ ok: true, value: [] }),
    onCommitted(objects) {
      applied.push(...objects);
      for (const { object } of objects) if (object.kind === 'key') idsByHash.set(object.hash.hex, object.id);
    },
    onDefect: (error) => defects.push(error),
  };
  const control = createControl(options);
  return {
    store,
    clock,
    options,
    applied,
    defects,
    caller(more) {
      const name = `caller ${callers.size}`;
      callers.set(name, { actor: `key:${name}`, use: 'admin', role: 'admin', reach: 'organization', ...more });
      return name;
    },
    ask: (caller, method, route, body) => askOf(control, caller, method, route, body),
    async close() {
      await store.close();
      await rm(directory, { recursive: true });
    },
  };
}

/** Asks an admin API over its fetch. */
export async function askOf(
  control: ReturnType<typeof createControl>,
  caller: string,
  method: string,
  route: string,
  body?: unknown,
): Promise<Asked> {
  const response = await control.fetch(
    new Request(`http://admin.test${route}`, {
      method,
      headers: caller === '' ? {} : { 'x-api-key': caller },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    }),
  );
  const text = await response.text();
  return { status: response.status, text, body: text.startsWith('{') ? JSON.parse(text) : null };
}

export const EVERY_ROLE: readonly Role[] = ['admin', 'operator', 'reviewer', 'read_only'];

const rule = (id: string, per: RuleInForce['per'], of: RuleInForce['of'], limit: number): RuleInForce => ({
  rule: id,
  per,
  of,
  limit,
  burst: limit,
  window: '1m',
  modelClasses: null,
  whenAway: 'local_share',
  isLeased: true,
  isDryRun: false,
});
const RULES = [
  rule('rpm', ['key'], 'requests', 600),
  rule('tpm', ['key'], 'total_tokens', 100_000),
  rule('concurrency', ['key'], 'concurrency', 64),
  rule('workspace-rpm', ['workspace'], 'requests', 6_000),
  rule('workspace-tpm', ['workspace'], 'total_tokens', 1_000_000),
  rule('spend-month', ['organization'], 'spend', 1e9),
  rule('key-spend-month', ['key'], 'spend', 1e9),
  rule('workspace-spend-month', ['workspace'], 'spend', 1e9),
];
