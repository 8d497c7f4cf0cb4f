import { Cluster, type Redis } from 'ioredis';
import type { Clock, Random } from '#contracts/clock';
import { err, ok, type Result } from '#core/kernel';
import { probeGroup } from '../probe.ts';
import type { SharedLimits } from '../shared-limits.ts';
import { createClient, createNode, reasonOf, type RedisClient } from './connect.ts';
import { BEAT_SCRIPT, METER_SCRIPT } from './meter-script.ts';
import { createPacker, GATEWAYS_KEY, groupKey, memoryKey, unpackReply } from './pack.ts';
import { judgeServer, type RefuseToStart } from './refuse-to-start.ts';
import { createScriptRunner, scriptOf, type ScriptRunner } from './scripts.ts';
import { parseRedisUrl, type RedisPlace } from './url.ts';

export interface RedisLimitsOptions {
  /** `redis://host:port`, `rediss://…`, or `redis-cluster://host:port,host:port`; credentials in front of the host. */
  readonly url: string;
  readonly clock: Clock;
  readonly random: Random;
  /** For tests: what the server's clock is said to be, in µs since 1970. */
  readonly serverTimeUs?: () => number;
}

export interface RedisLimits extends SharedLimits {
  /** How often the server had forgotten the scripts, and was sent them again. */
  readonly scriptsSentAnew: number;
  /** Are scripts sent whole each time, because something on the way blocks EVALSHA? */
  readonly areScriptsSentWhole: boolean;
}

/** How long the whole start may take. */
const OPEN_MS = 10_000;

/**
 * Connects to Redis 7 or Valkey, single or Cluster, and makes sure that limits hold there: a look at what the server says of
 * itself, then a request over its limit, which must be refused.
 * @returns the counters, or why they would silently not hold; a password is in neither
 */
export async function openRedisLimits(options: RedisLimitsOptions): Promise<Result<RedisLimits, RefuseToStart>> {
  const parsed = parseRedisUrl(options.url);
  if (!parsed.ok) return err({ kind: 'bad_url', message: parsed.error });
  const place = parsed.value;
  let client: RedisClient | undefined;
  const late: Result<never, RefuseToStart> = err({
    kind: 'unreachable',
    message: `${place.shown} did not answer within ${OPEN_MS / 1000} s`,
  });
  const opening = async (): Promise<Result<RedisLimits, RefuseToStart>> => {
    const first = await lookAtFirst(place);
    if (first !== null) return err(first);
    client = createClient(place);
    try {
      await client.connect();
    } catch (error) {
      return err(whyNotConnected(place.shown, error));
    }
    const limits = createRedisLimits(client, place, options);
    const refusal = (await lookAtMasters(client)) ?? (await tryOut(limits, options.random));
    return refusal === null ? ok(limits) : err(refusal);
  };
  const opened = await within(options.clock, OPEN_MS, opening(), late);
  if (!opened.ok) client?.disconnect();
  return opened;
}

function createRedisLimits(client: RedisClient, place: RedisPlace, options: RedisLimitsOptions): RedisLimits {
  const runner: ScriptRunner = createScriptRunner(client);
  const meters = scriptOf(METER_SCRIPT);
  const beats = scriptOf(BEAT_SCRIPT);
  const pack = createPacker();
  const now = (): string => (options.serverTimeUs ? String(options.serverTimeUs()) : '');
  return {
    send(operation) {
      const keys = operation.groups.map(groupKey);
      if (operation.what === 'settle') keys.push(memoryKey(operation.groups[0]?.tenant ?? '', operation.id));
      const { frame, numbers } = pack(operation);
      const args = [operation.what, now(), operation.gateway, frame, numbers];
      for (const { scope } of operation.groups) for (const { id } of scope.rules) args.push(id);
      return runner
        .evaluate(meters, keys, args)
        .then((answer) => (answer.kind === 'done' ? unpackReply(answer.reply, operation.units.length) : answer));
    },
    async beat(gateway, lifeMs) {
      const answer = await runner.evaluate(beats, [GATEWAYS_KEY], [now(), gateway, String(lifeMs * 1000)]);
      if (answer.kind === 'failed') return answer;
      const [gateways, isKnown] = Array.isArray(answer.reply) ? (answer.reply as readonly unknown[]) : [];
      if (typeof gateways !== 'number') return { kind: 'failed', because: 'an answer of another shape' };
      return { kind: 'heard', gateways: Math.max(1, gateways), isKnown: isKnown === 1 };
    },
    reconnect: () => client.disconnect(true),
    get operations() {
      return runner.operations;
    },
    get scriptsSentAnew() {
      return runner.sentAnew;
    },
    get areScriptsSentWhole() {
      return runner.isSentWhole;
    },
    place: place.shown,
    close() {
      client.disconnect();
      return Promise.resolve();
    },
  };
}

/** What the first node that answers says of itself: whether it is a cluster decides how to talk to it at all. */
async function lookAtFirst(place: RedisPlace): Promise<RefuseToStart | null> {
  let last: RefuseToStart | null = null;
  for (let at = 0; at < place.nodes.length; at++) {
    const node = createNode(place, at);
    try {
      await node.connect();
      const refusal = await lookAt(node, place.isCluster);
      // A node of a cluster may be a replica; which nodes count is looked at once the cluster is known.
      return place.isCluster && refusal?.kind === 'read_only' ? null : refusal;
    } catch (error) {
      last = whyNotConnected(shownOf(node), error);
    } finally {
      node.disconnect();
    }
  }
  return last;
}

async function lookAtMasters(client: RedisClient): Promise<RefuseToStart | null> {
  const masters = client instanceof Cluster ? client.nodes('master') : [client];
  if (masters.length === 0) return { kind: 'could_not_tell', message: 'the cluster names no node that counts' };
  for (const master of masters) {
    const refusal = await lookAt(master, client instanceof Cluster);
    if (refusal !== null) return refusal;
  }
  return null;
}

async function lookAt(node: Redis, isCluster: boolean): Promise<RefuseToStart | null> {
  const place = shownOf(node);
  try {
    return judgeServer(await node.info(), { isCluster, place });
  } catch (error) {
    const because = reasonOf(error);
    if (/NOAUTH|WRONGPASS/.test(because)) return whyNotConnected(place, error);
    return { kind: 'could_not_tell', message: `${place} does not answer INFO (${because}), so how it keeps counters is unknown` };
  }
}

/** A limit of one, taken twice: the second must be refused, with a wait. */
async function tryOut(limits: SharedLimits, random: Random): Promise<RefuseToStart | null> {
  const operation = probeGroup(`start-${random.hex(8)}`);
  const first = await limits.send(operation);
  const second = first.kind === 'done' ? await limits.send(operation) : first;
  if (second.kind === 'failed')
    return second.because === 'READONLY'
      ? { kind: 'read_only', message: `${limits.place} refuses to write` }
      : { kind: 'scripts_refused', message: `${limits.place} does not run the script that counts (${second.because})` };
  if (first.kind === 'done' && first.refusedBy === -1 && second.refusedBy === 0 && second.waitUs > 0) return null;
  return { kind: 'limits_do_not_hold', message: `${limits.place} did not refuse a request over its limit` };
}

function whyNotConnected(place: string, error: unknown): RefuseToStart {
  const because = reasonOf(error);
  return /NOAUTH|WRONGPASS|NOPERM/.test(because)
    ? { kind: 'not_authorized', message: `${place} does not let us in (${because})` }
    : { kind: 'unreachable', message: `${place} cannot be reached (${because})` };
}

const shownOf = (node: Redis): string => `${node.options.host ?? ''}:${node.options.port ?? ''}`;

function within<T>(clock: Clock, ms: number, work: Promise<T>, late: T): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(ms, () => resolve(late));
    work.then(resolve, reject).finally(() => timer.cancel());
  });
}
