import type { Config, PoolConfig } from '#contracts/config';
import type { Dialect } from '#contracts/record';

/** What the configuration says about who serves, by the names that usage records carry. */
export interface Serving {
  /** `gen_ai.provider.name`: what the replicas of a pool speak or are; before a pool was chosen, what the client speaks. */
  provider(pool: string | null, dialect: Dialect): string;
  /** What a pool calls a model, null when the configuration does not say. */
  upstreamModel(model: string | null, pool: string | null): string | null;
  /** The replica of an attempt. Replicas of other pools may have the same id; one of `preferredPool` comes first. */
  replica(id: string, of: { readonly model: string | null; readonly preferredPool: string | null }): ServingReplica | null;
}

export interface ServingReplica {
  readonly pool: string;
  /** Host and port of a remote replica, null for one in this process. */
  readonly server: { readonly address: string; readonly port: number } | null;
}

/** Reads the parts of a configuration that spans and metrics name. */
export function servingOf(config: Config): Serving {
  const providers = new Map(config.pools.map((pool) => [pool.id, providerOf(pool)]));
  const upstream = new Map(
    config.models.flatMap((model) =>
      model.serve.map((serve) => [`${model.id} ${serve.pool}`, serve.upstream_model ?? model.id] as const),
    ),
  );
  const pools = new Map(config.models.map((model) => [model.id, model.serve.map(({ pool }) => pool)]));
  const replicas = new Map(
    config.pools.flatMap((pool) =>
      (pool.replicas ?? [{ id: pool.id, url: null }]).map(
        ({ id, url }) => [`${pool.id} ${id}`, { pool: pool.id, server: url === null ? null : serverOf(url) }] as const,
      ),
    ),
  );
  return {
    provider: (pool, dialect) =>
      (pool === null ? undefined : providers.get(pool)) ?? (dialect === 'anthropic' ? 'anthropic' : 'openai'),
    upstreamModel: (model, pool) => upstream.get(`${model} ${pool}`) ?? null,
    replica(id, { model, preferredPool }) {
      for (const pool of [preferredPool, ...(pools.get(model ?? '') ?? [])]) {
        const found = replicas.get(`${pool} ${id}`);
        if (found !== undefined) return found;
      }
      return null;
    },
  };
}

/** The convention's own values for the two dialects, whoever runs the replicas; its words for engines in this process are ours. */
function providerOf(pool: PoolConfig): string {
  if (pool.engine === 'llama') return 'llama_cpp';
  return pool.engine ?? pool.dialect ?? 'openai';
}

function serverOf(url: string): { readonly address: string; readonly port: number } {
  const { hostname, port, protocol } = new URL(url);
  return { address: hostname, port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port) };
}
