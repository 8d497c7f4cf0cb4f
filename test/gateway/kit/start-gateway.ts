import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Clock } from '#contracts/clock';
import { configSchema, type Config } from '#contracts/config';
import type { UsageRecord } from '#contracts/record';
import { createRemoteEngine, type Engine } from '#engines';
import { buildTopology, createGateway, type Gateway } from '#gateway';
import { createMemoryLog, createMetrics, createSystemClock, createSystemRandom } from '#runtime';
import { createDiskFiles, createJournal, createJournalReader, createMemoryLimits, type Journal, type LimitStore } from '#storage';
import { onTestFinished } from 'vitest';
import type { z } from 'zod';
import { testTenants, type TestTenants } from './tenants.ts';

export type ConfigInput = z.input<typeof configSchema>;

/** A whole gateway in this process: real sockets, real tenants, limits and a real journal in a directory of its own. Closed when the test is over. */
export interface TestGateway {
  readonly gateway: Gateway;
  readonly port: number;
  readonly url: string;
  /** An API key. */
  readonly key: string;
  readonly adminKey: string;
  readonly tenants: TestTenants;
  readonly limits: LimitStore;
  /** Every record in the order in which requests ended, as the journal was given them. */
  readonly records: readonly UsageRecord[];
  /** What the log said. */
  readonly log: ReturnType<typeof createMemoryLog>;
  readonly metrics: () => string;
  /** Records as they stand in the journal's files. */
  journaled(): Promise<readonly UsageRecord[]>;
  reconfigure(config: ConfigInput): void;
  close(): Promise<void>;
}

/** What the gateway presents to replicas. */
const UPSTREAM_KEY = 'upstream-secret';

export interface StartOptions {
  readonly config: ConfigInput;
  readonly clock?: Clock;
  /** Wraps the journal, to make it fail. */
  readonly journal?: (journal: Journal) => Journal;
  /** Where limits are counted; in memory when absent. */
  readonly limits?: LimitStore;
  /** Wraps each engine, to make it misbehave below HTTP. */
  readonly engine?: (engine: Engine) => Engine;
}

export async function startGateway(options: StartOptions): Promise<TestGateway> {
  const data = mkdtempSync(path.join(tmpdir(), 'plimsoll-gateway-'));
  const clock = options.clock ?? createSystemClock();
  const random = createSystemRandom();
  const log = createMemoryLog();
  const metrics = createMetrics();
  const tenants = testTenants();
  const limits = options.limits ?? createMemoryLimits({ clock, subjectsMax: 10_000 });
  const directory = path.join(data, 'journal');
  const disk = await createJournal({
    directory,
    clock,
    random,
    syncIntervalMs: 5,
    segmentBytes: 1024 * 1024,
    bytesMax: 16 * 1024 * 1024,
    onEvent: (event) => log.warn('journal', { event: JSON.stringify(event) }),
  });
  const records: UsageRecord[] = [];
  const wrapped = options.journal?.(disk) ?? disk;
  const journal: Journal = {
    reserve: () => wrapped.reserve(),
    release: () => wrapped.release(),
    append(record) {
      records.push(record);
      wrapped.append(record);
    },
    flush: () => wrapped.flush(),
    status: () => wrapped.status(),
    close: () => wrapped.close(),
  };
  const build = (config: Config) =>
    buildTopology(config, (pool) =>
      (pool.replicas ?? []).map(({ id, url, key }) => {
        const engine = createRemoteEngine({
          url,
          dialect: pool.dialect ?? 'anthropic',
          key: key === undefined ? null : UPSTREAM_KEY,
          auth: pool.auth ?? (pool.dialect === 'openai' ? 'bearer' : 'x-api-key'),
          hasResponses: pool.responses,
          connectionsMax: config.bounds.replica_connections,
          connectTimeoutMs: config.timeouts.connect_ms,
          keepAliveMs: 10_000,
        });
        return { id, engine: options.engine?.(engine) ?? engine };
      }),
    );
  const parse = (input: ConfigInput): Config =>
    configSchema.parse({ listen: { port: 0 }, ...input, timeouts: { drain_ms: 100, ...input.timeouts } });
  const config = parse(options.config);
  const gateway = createGateway({
    config,
    topology: build(config),
    clock,
    random,
    log,
    journal,
    metrics,
    limits,
    tenants: { ...tenants.directory, cutOffForMs: () => tenants.cutOffMs, endUserId: (_, user) => tenants.endUser(user) },
  });
  const { port } = await gateway.listen();
  let isClosed = false;
  const close = async (): Promise<void> => {
    if (isClosed) return;
    isClosed = true;
    await gateway.close();
    await Promise.all([disk.close(), limits.close()]);
    rmSync(data, { recursive: true, force: true });
  };
  onTestFinished(close);
  return {
    gateway,
    port,
    url: `http://127.0.0.1:${port}`,
    key: tenants.apiKey,
    adminKey: tenants.adminKey,
    tenants,
    limits,
    records,
    log,
    metrics: metrics.render,
    async journaled() {
      await disk.flush();
      const reader = createJournalReader({ directory, files: createDiskFiles(), from: 0 });
      const syncedTo = Number(new BigInt64Array(disk.synced)[0]);
      const found: UsageRecord[] = [];
      for (;;) {
        const piece = await reader.next({ syncedTo, recordsMax: 1_000 });
        if (piece.kind !== 'records') break;
        for (const line of piece.lines.toString('utf8').trimEnd().split('\n')) found.push(JSON.parse(line) as UsageRecord);
      }
      await reader.close();
      return found;
    },
    reconfigure(input) {
      const next = parse(input);
      gateway.replace({ config: next, topology: build(next) });
    },
    close,
  };
}

/** One pool of replicas behind model `harbor-1`, which they call `org/harbor-70b`. */
export function poolOf(
  replicas: readonly { readonly url: string }[],
  more: {
    readonly dialect?: 'anthropic' | 'openai';
    readonly responses?: boolean;
    readonly upstreamModel?: string;
    readonly rest?: Omit<ConfigInput, 'pools' | 'models'>;
  } = {},
): ConfigInput {
  const { dialect = 'anthropic', responses = false, upstreamModel = 'org/harbor-70b', rest = {} } = more;
  return {
    ...rest,
    pools: [
      {
        id: 'harbor',
        dialect,
        responses,
        replicas: replicas.map(({ url }, index) => ({
          id: `eu-${index + 1}`,
          url: dialect === 'openai' ? `${url}/v1` : url,
          key: 'env:UPSTREAM_KEY',
        })),
      },
    ],
    models: [{ id: 'harbor-1', serve: [{ pool: 'harbor', upstream_model: upstreamModel }] }],
  };
}
