import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock, Random } from '#contracts/clock';
import type { Config } from '#contracts/config';
import type { Dialect, Operation, UsageRecord } from '#contracts/record';
import { createKeyedHash } from '#core/abuse';
import { isNearLimit } from '#core/limits';
import { createRetryBudget } from '#core/routing';
import type { Log, Metrics } from '#runtime';
import type { Journal, LimitStore } from '#storage';
import { BadFraming, ShuttingDown } from './abort-reasons.ts';
import type { Door } from './door.ts';
import { createClientAddress } from './client-address.ts';
import { createGatewayMetrics } from './gateway-metrics.ts';
import { handle } from './handle.ts';
import { createListener, endConnections, type ListenerOptions } from './listener.ts';
import { createAdmission } from './limits/admission.ts';
import { createLimiter, type Limiter } from './limits/limiter.ts';
import { createUnknownKeys } from './limits/unknown-keys.ts';
import { createOpenRequests } from './open-requests.ts';
import { createOtherRoutes, type Audience } from './other-routes.ts';
import { readinessOf, type Readiness } from './readiness.ts';
import type { Tenants } from './tenants/tenants.ts';
import type { Topology } from './topology.ts';
import { createTranslator } from './translation.ts';

export interface GatewayOptions {
  readonly config: Config;
  readonly topology: Topology;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly journal: Journal;
  readonly tenants: Tenants;
  /** Where limits are counted; the caller's to close. */
  readonly limits: LimitStore;
  readonly metrics: Metrics;
  /** Serves the operator paths (`/admin/v1`, `/metrics`); absent where nothing does. */
  readonly operator?: (incoming: IncomingMessage, outgoing: ServerResponse) => void;
  /** Told of every request that has ended; must neither wait nor throw. */
  readonly onRecord?: (record: UsageRecord, seen: Seen) => void;
}

/** Thrown for limits that cannot be meant, with everything that is wrong with them. */
export class BadLimits extends Error {
  override readonly name = 'BadLimits';

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
  }
}

/** What the gateway knew of a request besides its record, for whoever watches: in memory, and nowhere else. */
export interface Seen {
  readonly traceparent: string | null;
  /** The client's, as far as it can be believed. */
  readonly address: string;
  /** Had one of its limits less than a fifth left? Null when it had none, or was not admitted. */
  readonly isNearLimit: boolean | null;
  /** The last bytes of what the client wrote; null when there were none. */
  readonly tail: Buffer | null;
}

export interface Gateway {
  /** Begins to accept; resolves with the address. */
  listen(): Promise<{ readonly host: string; readonly port: number; readonly adminPort: number | null }>;
  readiness(): Readiness;
  /** Limits and actions in force, for whoever explains them. */
  limiter(): Limiter;
  /** Replaces configuration and topology as a whole; requests keep what they began with. The old topology is closed when its last request has ended. */
  replace(next: { readonly config: Config; readonly topology: Topology }): void;
  /** Stops accepting, lets open requests end for `drain_ms`, ends the rest with an error, and closes. The journal is the caller's to flush. */
  close(): Promise<void>;
}

interface Route {
  readonly dialect: Dialect;
  readonly operation: Operation;
}

const ROUTES: ReadonlyMap<string, Route> = new Map([
  ['/v1/messages', { dialect: 'anthropic', operation: 'messages' }],
  ['/v1/messages/count_tokens', { dialect: 'anthropic', operation: 'count_tokens' }],
  ['/v1/chat/completions', { dialect: 'openai_chat', operation: 'chat_completions' }],
  ['/v1/responses', { dialect: 'openai_responses', operation: 'responses' }],
] as const);

export function createGateway(options: GatewayOptions): Gateway {
  const { clock, random, log, journal, tenants } = options;
  const open = createOpenRequests();
  let { config, topology } = options;
  let topologyAtMs = clock.wallMs();
  let isDraining = false;
  let isCut = false;
  let onIdle: (() => void) | null = null;
  const retired: Topology[] = [];
  // What a stranger hashes to nobody can choose: the seed is this process's own.
  const hash = createKeyedHash([seedOf(random), seedOf(random)]);
  // Scopes keep their place through every reload, so that their meters stay theirs.
  const places = new Map<string, number>();
  const limiterOf = (of: Config): Limiter => {
    const made = createLimiter({ config: of, store: options.limits, clock, hash, directory: tenants, places });
    if (!made.ok) throw new BadLimits(made.error);
    return made.value;
  };
  let limiter = limiterOf(config);
  let clientAddress = createClientAddress(config.listen.trusted_proxies);
  const unknownKeys = createUnknownKeys({ perMinute: config.limits.unknown_keys_per_minute, clock, hash });

  const metrics = createGatewayMetrics(options.metrics, {
    models: [...topology.models.keys()],
    openRequests: () => admission.openRequests(),
    journal: () => journal.status(),
  });
  const admission = createAdmission({
    config: () => config,
    limiter: () => limiter,
    wallMs: clock.wallMs,
    journal,
    onUnrecorded: metrics.unrecorded,
  });
  const memory = { bytes: 0 };
  const translator = createTranslator();
  const retryBudget = createRetryBudget({
    ratio: config.attempts.budget_ratio,
    floorPerSecond: config.attempts.budget_floor_per_second,
  });

  const closeIfUnused = (old: Topology): void => {
    if (open.isUsing(old)) return;
    retired.splice(retired.indexOf(old), 1);
    const inUse = new Set([topology, ...retired].flatMap(({ pools }) => pools));
    old.close(inUse).catch((error: unknown) => log.warn('an engine did not close', { error: String(error) }));
  };
  const door = (): Door => ({
    config,
    topology,
    clock,
    random,
    log,
    journal,
    tenants,
    clientAddress,
    unknownKeys,
    admission,
    retryBudget,
    memory,
    metrics,
    translator,
    onBegin(life) {
      open.add(life, topology);
      if (isCut) life.signal.end(new ShuttingDown());
    },
    onEnd(life, record) {
      const served = open.remove(life);
      if (retired.length > 0 && retired.includes(served)) closeIfUnused(served);
      if (open.count() === 0) onIdle?.();
      options.onRecord?.(record, {
        traceparent: life.incoming.headers['traceparent']?.toString() ?? null,
        address: life.address,
        isNearLimit:
          life.admitted && life.admitted.groups.length > 0 ? isNearLimit(life.admitted.groups, life.admitted.ahead) : null,
        tail: life.tail,
      });
    },
  });
  let current = door();

  const readiness = (): Readiness =>
    readinessOf({ isDraining, topology, journal: journal.status(), refusesUnrecorded: config.journal.when_full === 'refuse' });
  const otherRoutes = createOtherRoutes({
    readiness,
    served: () => ({ topology, sinceMs: topologyAtMs }),
    tenants,
    random,
    ...(options.operator && { operator: options.operator }),
  });

  const onRequest =
    (audience: Audience) =>
    (incoming: IncomingMessage, outgoing: ServerResponse): void => {
      if (isDraining) outgoing.shouldKeepAlive = false;
      const url = incoming.url ?? '/';
      const query = url.indexOf('?');
      const path = query === -1 ? url : url.slice(0, query);
      const route = audience === 'operators' ? undefined : ROUTES.get(path);
      // `handle` ends every request itself, whatever happens in it.
      if (route && incoming.method === 'POST') void handle(current, incoming, outgoing, route);
      else
        otherRoutes(incoming, outgoing, {
          path,
          search: query === -1 ? '' : url.slice(query),
          audience,
          takesPost: route !== undefined,
        });
    };

  /** A body that turns out not to be one is refused like any other; when an answer is on its way, the connection is no longer to be trusted with it. */
  const onGarbage: ListenerOptions['onGarbage'] = (socket, reason) => {
    metrics.malformed(reason);
    const life = open.all().find(({ incoming }) => incoming.socket === socket);
    if (life === undefined) return false;
    if (life.incoming.complete || life.outgoing.headersSent) socket.destroy();
    else life.signal.end(new BadFraming());
    return true;
  };

  const servers: Server[] = [];
  const openListener = (audience: Audience, host: string, port: number): Promise<AddressInfo> => {
    const server = createListener({ config, onRequest: onRequest(audience), onGarbage });
    servers.push(server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => {
        server.off('error', reject);
        server.on('error', (error) => log.error('the listener failed', { error: error.message }));
        resolve(server.address() as AddressInfo);
      });
    });
  };

  return {
    async listen() {
      const { listen } = config;
      const { port } = await openListener(listen.admin ? 'clients' : 'all', listen.host, listen.port);
      const admin = listen.admin ? await openListener('operators', listen.admin.host, listen.admin.port) : null;
      return { host: listen.host, port, adminPort: admin?.port ?? null };
    },
    readiness,
    limiter: () => limiter,
    replace(next) {
      const old = topology;
      // First what may be refused: nothing has changed when it is.
      limiter = limiterOf(next.config);
      clientAddress = createClientAddress(next.config.listen.trusted_proxies);
      ({ config, topology } = next);
      topologyAtMs = clock.wallMs();
      current = door();
      retired.push(old);
      closeIfUnused(old);
    },
    async close() {
      isDraining = true;
      for (const server of servers) server.close();
      const closeIdle = (): void => servers.forEach((server) => server.closeIdleConnections());
      closeIdle();
      if (open.count() > 0) {
        log.info('waiting for open requests to end', { open: open.count(), drainMs: config.timeouts.drain_ms });
        await new Promise<void>((resolve) => {
          const cut = clock.after(config.timeouts.drain_ms, () => {
            log.warn('cutting requests that are still open', { open: open.count() });
            isCut = true;
            for (const life of open.all()) life.signal.end(new ShuttingDown());
          });
          onIdle = () => {
            cut.cancel();
            resolve();
          };
        });
      }
      isCut = true;
      closeIdle();
      metrics.close();
      await Promise.all([
        translator.close(),
        topology.close(new Set()),
        ...retired.map((old) => old.close(new Set(topology.pools))),
      ]);
      await endConnections(servers, clock);
    },
  };
}

const seedOf = (random: Random): number => Number.parseInt(random.hex(4), 16);
