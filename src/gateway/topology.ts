import { createHash } from 'node:crypto';
import type { Clock } from '#contracts/clock';
import type { Config, ModelConfig, PoolConfig } from '#contracts/config';
import type { Price } from '#core/pricing';
import type { Engine } from '#engines';

/** What a gateway can serve: models, and the replicas behind them. Made from the configuration, replaced as a whole. */
export interface Topology {
  readonly models: ReadonlyMap<string, Model>;
  readonly pools: readonly Pool[];
  /** Closes the engines of all pools but those that something newer still uses. */
  close(keep: ReadonlySet<Pool>): Promise<void>;
}

export interface Model {
  readonly id: string;
  readonly displayName: string;
  readonly maxInputTokens: number | null;
  readonly maxOutputTokens: number | null;
  readonly price: Price | null;
  /** Where it is served; every replica of every pool stands once. */
  readonly places: readonly Place[];
}

/** One replica as one model uses it. */
export interface Place {
  readonly pool: Pool;
  readonly replica: Replica;
  /** What the replica calls the model. */
  readonly upstreamModel: string;
  /** The behavior's content address. */
  readonly behavior: string;
}

export interface Pool {
  readonly id: string;
  readonly region: string | null;
  readonly replicas: readonly Replica[];
  /** How an OpenAI server calls the cap on output. */
  readonly capField: PoolConfig['max_tokens_field'];
  /** The pool's part of the configuration, as text: a pool that reads the same in the next one goes on as it is. */
  readonly definition: string;
}

/** A running engine, and what the gateway itself has open there. */
export class Replica {
  readonly id: string;
  readonly engine: Engine;
  outstanding = 0;
  pausedUntilUs = 0;

  constructor(id: string, engine: Engine) {
    this.id = id;
    this.engine = engine;
  }

  /** Gives it no new work for a while; the longest pause asked for stands. */
  pause(ms: number, clock: Clock): void {
    if (ms > 0) this.pausedUntilUs = Math.max(this.pausedUntilUs, clock.nowUs() + ms * 1000);
  }
}

/** Makes the engines of a pool: a remote one a replica, or the embedded one. */
export type EngineFactory = (pool: PoolConfig) => readonly { readonly id: string; readonly engine: Engine }[];

/**
 * Builds the topology of a configuration.
 * @param previous - the one it follows: pools that have not changed keep their engines, connections and what is known of them
 */
export function buildTopology(config: Config, createEngines: EngineFactory, previous: Topology | null = null): Topology {
  const kept = new Map(previous?.pools.map((pool) => [pool.definition, pool]));
  const pools = new Map(config.pools.map((pool) => [pool.id, kept.get(JSON.stringify(pool)) ?? buildPool(pool, createEngines)]));
  const models = new Map(config.models.map((model) => [model.id, buildModel(model, config, pools)]));
  const all = [...pools.values()];
  return {
    models,
    pools: all,
    async close(keep) {
      await Promise.all(
        all.filter((pool) => !keep.has(pool)).flatMap((pool) => pool.replicas.map((replica) => replica.engine.close())),
      );
    },
  };
}

function buildPool(pool: PoolConfig, createEngines: EngineFactory): Pool {
  const replicas = createEngines(pool).map(({ id, engine }) => new Replica(id, engine));
  return {
    id: pool.id,
    region: pool.region ?? null,
    replicas,
    capField: pool.max_tokens_field,
    definition: JSON.stringify(pool),
  };
}

function buildModel(model: ModelConfig, config: Config, pools: ReadonlyMap<string, Pool>): Model {
  const places = model.serve.flatMap(({ pool: poolId, upstream_model: upstream = model.id }) => {
    const pool = pools.get(poolId);
    const poolConfig = config.pools.find((candidate) => candidate.id === poolId);
    if (!pool || !poolConfig) return [];
    const behavior = behaviorDigest(poolConfig, upstream);
    return pool.replicas.map((replica) => ({ pool, replica, upstreamModel: upstream, behavior }));
  });
  const price = model.price && {
    input: model.price.input,
    output: model.price.output,
    cacheRead: model.price.cache_read,
    cacheWrite: model.price.cache_write,
  };
  return {
    id: model.id,
    displayName: model.display_name ?? model.id,
    maxInputTokens: model.max_input_tokens ?? null,
    maxOutputTokens: model.max_output_tokens ?? null,
    price: price ?? null,
    places,
  };
}

/**
 * The content address of what serves: engine and weights as the configuration names them. Replicas of one pool that serve the
 * same weights have one behavior, wherever they run.
 */
function behaviorDigest(pool: PoolConfig, upstreamModel: string): string {
  const engine =
    pool.engine === 'llama'
      ? { engine: 'llama', model_path: pool.model_path }
      : pool.engine === 'simulated'
        ? { engine: 'simulated', profile: pool.profile, seed: pool.seed }
        : { engine: 'remote', dialect: pool.dialect };
  return `sha256:${createHash('sha256')
    .update(JSON.stringify({ ...engine, weights: upstreamModel }))
    .digest('hex')}`;
}
