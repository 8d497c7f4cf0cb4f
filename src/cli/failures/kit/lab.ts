import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { UsageRecord } from '#contracts/record';
import { createDraw } from '#core/simulation';
import { NotProvoked } from '../entry.ts';
import type { ReplicaDialect } from './answers.ts';
import { ask, type AskOptions, type Asking } from './client.ts';
import type { FirstKeys, GatewayUnderTest, StartGateway, Started } from './gateway-process.ts';
import { seedTenants } from './seed-tenants.ts';
import { startScriptedReplica, type Behavior, type ScriptedReplica } from './scripted-replica.ts';
import { until } from './stopwatch.ts';

/** What an entry works with. Everything it starts ends with it. */
export interface Lab {
  /** Uniform in [0, 1), from the run's seed. */
  readonly draw: () => number;
  replica(behave: Behavior): Promise<ScriptedReplica>;
  /** A gateway that serves these pools, each under a model of its own name. */
  gateway(setting: Setting): Promise<GatewayUnderTest>;
  /** The same, for entries in which it is meant to refuse, or to start on data that are there already. */
  tryGateway(start: {
    readonly config: object | string;
    readonly name?: string;
    readonly environment?: Readonly<Record<string, string>>;
    readonly keys?: FirstKeys;
  }): Promise<Started>;
  /** Where an entry's other servers keep their files. */
  readonly directory: string;
  /** Closes it after the gateways; at once when the lab is closed already. */
  keep<T extends { close(): Promise<void> }>(starting: Promise<T>): Promise<T>;
  /** Waits for a gateway's journal to hold this many records, and reads it. */
  records(gateway: GatewayUnderTest, count: number): Promise<readonly UsageRecord[]>;
}

export interface Setting {
  readonly pools: Readonly<Record<string, PoolSetting>>;
  /** The rest of the configuration, as in its file. */
  readonly config?: PartialConfig;
  readonly name?: string;
}

/** As in its file. */
export interface PartialConfig {
  readonly stores?: { readonly control?: string; readonly limits?: string };
  readonly [section: string]: unknown;
}

interface PoolSetting {
  readonly dialect: ReplicaDialect;
  /** Base URLs. */
  readonly replicas: readonly string[];
}

/**
 * Usage rests in the journal only, and tenants come from the snapshot that every gateway here begins with: an entry that needs
 * the store says so.
 */
const NO_STORE = { stores: { control: 'postgres://127.0.0.1:1/none' }, keys: { pepper: 'file:data/pepper' } };

export async function openLab(options: {
  readonly startGateway: StartGateway;
  readonly directory: string;
  readonly seed: number;
}): Promise<Lab & { close(): Promise<void> }> {
  const { startGateway, directory, seed } = options;
  const own = await mkdtemp(path.join(directory, 'lab-'));
  const gateways: GatewayUnderTest[] = [];
  const replicas: ScriptedReplica[] = [];
  const kept: { close(): Promise<void> }[] = [];
  let isClosed = false;

  const tryGateway: Lab['tryGateway'] = async ({ config, name = 'gateway', ...more }) => {
    const home = path.join(own, name);
    // A gateway with a store of its own makes its first tenants itself.
    if (!hasStore(config)) await seedTenants(path.join(home, 'data'));
    const started = await startGateway({ config, directory: home, ...more });
    if (started.kind === 'serving') {
      gateways.push(started.gateway);
      if (isClosed) await started.gateway.stop();
    }
    return started;
  };

  return {
    draw: createDraw(seed),
    directory: own,
    tryGateway,
    async keep(starting) {
      const thing = await starting;
      kept.push(thing);
      if (isClosed) await thing.close();
      return thing;
    },
    async replica(behave) {
      const replica = await startScriptedReplica(behave);
      replicas.push(replica);
      return replica;
    },
    async gateway({ pools, config = {}, name }) {
      const started = await tryGateway({ config: configOf(pools, config), ...(name === undefined ? {} : { name }) });
      if (started.kind === 'refused') throw new NotProvoked(`no gateway could be started: ${started.said.trim().slice(-400)}`);
      return started.gateway;
    },
    async records(gateway, count) {
      await until(async () => (await gateway.records()).length >= count, RECORDS_MS_MAX);
      return gateway.records();
    },
    async close() {
      isClosed = true;
      await Promise.all(gateways.map((gateway) => gateway.stop()));
      await Promise.all([...replicas, ...kept].map((one) => one.close()));
      await rm(own, { recursive: true, force: true });
    },
  };
}

const RECORDS_MS_MAX = 2_000;

export function configOf(pools: Setting['pools'], config: PartialConfig): object {
  return {
    ...(config.stores?.control === undefined ? NO_STORE : {}),
    ...config,
    stores: { ...NO_STORE.stores, ...config.stores },
    listen: { port: 0 },
    pools: Object.entries(pools).map(([id, { dialect, replicas }]) => ({
      id,
      dialect,
      replicas: replicas.map((url, index) => ({ id: `${id}-${index + 1}`, url })),
    })),
    models: Object.keys(pools).map((id) => ({ id, serve: [{ pool: id }] })),
  };
}

const hasStore = (config: object | string): boolean =>
  typeof config === 'object' && (config as PartialConfig).stores?.control !== NO_STORE.stores.control;

/** A directory for the labs of one run, and its end. */
export async function makeLabDirectory(): Promise<{ readonly directory: string; remove(): Promise<void> }> {
  const directory = await mkdtemp(path.join(tmpdir(), 'plimsoll-failures-'));
  // Also when the run is interrupted.
  const onProcessEnd = (): void => rmSync(directory, { recursive: true, force: true });
  process.once('exit', onProcessEnd);
  return {
    directory,
    async remove() {
      process.off('exit', onProcessEnd);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Asks a gateway with its own first key. */
export const askGateway = (gateway: GatewayUnderTest, options: Omit<AskOptions, 'port'>): Asking =>
  ask({ port: gateway.port, key: gateway.key, ...options });
