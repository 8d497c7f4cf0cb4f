import { hostname } from 'node:os';
import path from 'node:path';
import { getRequestListener } from '@hono/node-server';
import type { Command } from 'commander';
import type { Config } from '#contracts/config';
import type { TenantObject } from '#contracts/tenancy';
import { createControl } from '#control';
import {
  BadLimits,
  buildTopology,
  createGateway,
  openPepper,
  openTenants,
  PepperProblem,
  type Gateway,
  type Topology,
} from '#gateway';
import {
  createLog,
  createMetrics,
  createSystemClock,
  createSystemRandom,
  startTelemetry,
  type Metrics,
  type Sample,
  type Telemetry,
} from '#runtime';
import {
  awaitAcknowledged,
  createJournal,
  DirectoryInUse,
  hashKey,
  newKey,
  StoreAway,
  type LimitStore,
  type Versioned,
} from '#storage';
import {
  BadAbuseRules,
  compiledRules,
  createAbuseWatch,
  rulesInForce,
  startUsageFlow,
  type AbuseWatch,
  type UsageFlow,
} from '#worker';
import { registerAbuseMetrics } from './abuse-metrics.ts';
import { CannotStart, createEngineFactory, type EngineParts } from './create-engines.ts';
import { withDefaultModels } from './default-models.ts';
import { gatewayId } from './gateway-id.ts';
import { printBanner } from './banner.ts';
import { createLimitViews } from './limit-views.ts';
import { registerLimitMetrics } from './limit-metrics.ts';
import { openLimits } from './open-limits.ts';
import { principalOf } from './principal-of.ts';
import { readServeConfig } from './serve-config.ts';
import { usagePlace } from './usage-place.ts';

/** Registers `plimsoll serve`. */
export function registerServe(program: Command): void {
  program
    .command('serve')
    .description('serve models: the gateway, the admin API and the flow of usage records, in one process')
    .option('--config <file>', 'configuration file (default: $PLIMSOLL_CONFIG, or ./plimsoll.yaml if it is there)')
    .option('--port <number>', 'port of the client paths (default: $PLIMSOLL_PORT, or listen.port)')
    .option('--data <directory>', 'data directory (default: $PLIMSOLL_DATA, or data)')
    .option('--json', 'print what is served as one line of JSON')
    .action(async (options: ServeOptions) => {
      try {
        await serve(options, process.env, program.version() ?? 'unknown');
      } catch (error) {
        if (!EXPECTED.some((kind) => error instanceof kind)) throw error;
        console.error(`plimsoll: ${error instanceof Error ? error.message : String(error)}`);
        process.exit(1);
      }
    });
}

/** What keeps a server from starting and is said in words; anything else is a defect. */
const EXPECTED = [CannotStart, DirectoryInUse, PepperProblem, StoreAway, BadLimits, BadAbuseRules] as const;

interface ServeOptions {
  readonly config?: string;
  readonly port?: string;
  readonly data?: string;
  readonly json?: true;
}
type Environment = Readonly<Record<string, string | undefined>>;

async function serve(options: ServeOptions, environment: Environment, version: string): Promise<void> {
  const config = readServeConfig(options, environment);
  const dataDirectory = path.resolve(config.data);
  const log = createLog({ level: config.log.level });
  const clock = createSystemClock();
  const random = createSystemRandom();
  const metrics = createMetrics();
  const isShared = config.stores.control !== 'embedded';
  const pepper = await openPepper({ reference: config.keys.pepper, dataDirectory, isShared, environment });
  const journal = await createJournal({
    directory: path.join(dataDirectory, 'journal'),
    clock,
    random,
    syncIntervalMs: config.journal.sync_ms,
    bytesMax: config.journal.bytes_max,
    onEvent: (event) => log.warn('journal', { event: JSON.stringify(event) }),
  });
  const flow = await startUsageFlow({
    journal,
    place: usagePlace(config.stores.control, dataDirectory),
    clock,
    onEvent: ({ level, message, ...fields }) => log[level](message, fields),
  });
  registerFlowMetrics(metrics, flow);
  const store = flow.control;
  const tenants = await openTenants({
    store,
    dataDirectory,
    pepper,
    clock,
    random,
    gateway: { id: gatewayId(dataDirectory, random), name: `${hostname()}:${config.listen.port}` },
    onEvent: ({ level, message }) => log[level](message),
  });
  const { firstKeysPath, isNew } = tenants;
  const limits = await openLimits(config, { clock, random });
  const { config: served, missingModel } = withDefaultModels(config, dataDirectory);
  let current = served;
  const watch = createAbuseWatch({
    config: served.abuse,
    clock,
    store,
    seed: [Number.parseInt(random.hex(4), 16), Number.parseInt(random.hex(4), 16)],
    onCommitted: tenants.committed,
    onEvent: ({ level, message }) => log[level](message),
  });
  const parts = { clock, random, log, environment };
  const topology = buildTopology(served, createEngineFactory(served, parts));
  const control = createControl({
    authenticate: (header) => principalOf(header, tenants.directory),
    store,
    onCommitted(objects) {
      tenants.committed(objects);
      noteNewAccounts(watch, objects);
    },
    signals: watch.signals,
    onDefect: (error, route) =>
      log.error('the admin API failed', {
        route,
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      }),
    clock,
    random,
    newKey: (use) => newKey(use, pepper),
    hashKey: (presented) => hashKey(presented, pepper),
    findKey: (hash) => tenants.directory.keyIdOf(hash),
    endUserId: tenants.endUserId,
    awaitAcknowledged: (commit, withinMs) => awaitAcknowledged({ store, clock, commit, withinMs }),
    limits: createLimitViews({
      limiter: () => gateway.limiter(),
      config: () => current,
      callerOf: tenants.directory.callerOf,
      clock,
    }),
    renderMetrics: metrics.render,
    usage: flow.usage,
    status: () => ({
      ...gateway.readiness(),
      flow: flow.status(),
      journal: journal.status(),
      tenants: tenants.status(),
      limits: limitsOf(limits),
      abuse: watch.status(),
    }),
  });
  const operator = getRequestListener(control.fetch);
  const endpoint = served.telemetry.otlp_endpoint;
  const telemetry =
    endpoint === undefined ? null : await startTelemetry({ config: served, endpoint, version, clock, random, log, metrics });
  const gateway: Gateway = createGateway({
    config: served,
    topology,
    clock,
    random,
    log,
    journal,
    tenants,
    limits,
    metrics,
    operator: (incoming, outgoing) => void operator(incoming, outgoing),
    onRecord(record, seen) {
      telemetry?.record(record, seen.traceparent);
      watch.observe(record, seen);
    },
  });
  registerAbuseMetrics(metrics, watch);
  registerLimitMetrics(metrics, { limits, limiter: () => gateway.limiter(), tenants });
  // Nothing is lost: they are in the journal, which the next start reads.
  const onUndrained = (error: unknown): void =>
    log.info('usage records wait in the journal for the next start', { because: String(error) });
  // Before anyone can know that we listen: a signal in between must not be a kill.
  const signaled = untilSignal();
  const address = await gateway.listen().catch((error: unknown) => cannotListen(error, served));
  printBanner({
    address,
    models: [...topology.models.values()],
    firstKeysPath,
    isNew,
    missingModel,
    isJson: options.json === true,
  });

  reloadOnHangup({
    options,
    parts,
    gateway,
    telemetry,
    current: { config: served, topology },
    watch,
    onReload: (config) => (current = config),
  });
  await signaled;
  log.info('shutting down');
  await gateway.close();
  await watch.close();
  await Promise.all([limits.close(), tenants.close()]);
  await journal.flush();
  await Promise.all([telemetry?.close(), flow.drain(AbortSignal.timeout(DRAIN_MS)).catch(onUndrained)]);
  await flow.close();
  await journal.close();
  process.exit(0);
}

/** How long the last records may take on their way to the store. */
const DRAIN_MS = 2_000;

function cannotListen(error: unknown, { listen }: Config): never {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const where = [listen, ...(listen.admin ? [listen.admin] : [])].map(({ host, port }) => `${host}:${port}`).join(' and ');
  if (code === 'EADDRINUSE')
    throw new CannotStart(`something else listens on ${where}; choose another port with --port or PLIMSOLL_PORT`);
  if (code === 'EACCES' || code === 'EADDRNOTAVAIL') throw new CannotStart(`${where} cannot be listened on (${code})`);
  throw error;
}

/** Members that were just made: their mail domains are signals of new accounts. */
function noteNewAccounts(watch: AbuseWatch, objects: readonly Versioned<TenantObject>[]): void {
  for (const { object, version } of objects)
    if (object.kind === 'member' && version === 1)
      watch.observeAccount({ organization: object.organization, address: null, mailDomain: object.email.split('@')[1] ?? null });
}

/** The limit store as `/admin/v1/status` shows it. */
function limitsOf(limits: LimitStore): object {
  const { wouldHaveRefused, ...status } = limits.status();
  return { ...status, wouldHaveRefused: Object.fromEntries(wouldHaveRefused) };
}

interface Reload {
  readonly options: ServeOptions;
  readonly parts: EngineParts;
  readonly gateway: Gateway;
  readonly telemetry: Telemetry | null;
  readonly current: { readonly config: Config; readonly topology: Topology };
  readonly watch: AbuseWatch;
  readonly onReload: (config: Config) => void;
}

/** What a running process cannot change. */
const FIXED = ['listen', 'data', 'stores', 'keys', 'journal', 'log', 'telemetry'] as const;

/** SIGHUP swaps the whole configuration, or keeps the old one and says why. Requests keep what they began with. */
function reloadOnHangup({ options, parts, gateway, telemetry, current, watch, onReload }: Reload): void {
  const { log, environment } = parts;
  let { config, topology } = current;
  process.on('SIGHUP', () => {
    try {
      const read = readServeConfig(options, environment);
      const next = withDefaultModels(read, path.resolve(read.data)).config;
      for (const key of FIXED)
        if (JSON.stringify(next[key]) !== JSON.stringify(config[key])) log.warn(`${key} changes only with a restart`);
      const kept = Object.fromEntries(FIXED.map((key) => [key, config[key]])) as Pick<Config, (typeof FIXED)[number]>;
      const swapped = { ...next, ...kept };
      const built = buildTopology(swapped, createEngineFactory(swapped, parts), topology);
      // Rules and limits that cannot be meant are refused before anything has changed.
      compiledRules(rulesInForce(swapped.abuse));
      gateway.replace({ config: swapped, topology: built });
      watch.replace(swapped.abuse);
      for (const { id } of swapped.models)
        if (!config.models.some((model) => model.id === id)) watch.noteRelease(id, parts.clock.wallMs());
      [config, topology] = [swapped, built];
      onReload(config);
      telemetry?.replace(config);
      log.info('the configuration has been reloaded', { models: topology.models.size });
    } catch (error) {
      log.error('the configuration was not reloaded; the old one serves on', {
        error: error instanceof Error ? error.message : String(error),
      });
    }
  });
}

/** Resolves on the first SIGTERM or SIGINT; the second quits at once. */
function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    let asked = 0;
    const onSignal = (): void => {
      if (++asked > 1) process.exit(1);
      resolve();
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}

function registerFlowMetrics(metrics: Metrics, flow: UsageFlow): void {
  // A lag that is not known yet is no sample at all: zero would say that all is well.
  const known = (value: number | null): readonly Sample[] => (value === null ? [] : [{ labels: {}, value }]);
  metrics.gauge('plimsoll_usage_lag_records', 'Records in the journal that are not in the usage store yet.', () =>
    known(flow.status().lagRecords),
  );
  metrics.gauge('plimsoll_usage_lag_seconds', 'Age of the oldest record that is not in the usage store yet.', () =>
    known(flow.status().lagMs / 1000),
  );
  metrics.gauge('plimsoll_usage_lost_records', 'Records that damage to the journal has cost.', () => flow.status().recordsLost);
}
