import type { Config, PoolConfig } from '#contracts/config';
import { createRemoteEngine } from '#engines';
import type { EngineFactory } from '#gateway';
import { readSecret } from '#runtime';

/** Makes the engines that a configuration names. A secret that cannot be read stops the start, by its reference. */
export function createEngineFactory(config: Config, environment: Readonly<Record<string, string | undefined>>): EngineFactory {
  return (pool) => {
    if (pool.dialect === undefined) throw new Error(`engine ${pool.engine} pending`);
    return remoteEngines(pool, pool.dialect, config, environment);
  };
}

function remoteEngines(
  pool: PoolConfig,
  dialect: 'anthropic' | 'openai',
  config: Config,
  environment: Readonly<Record<string, string | undefined>>,
): ReturnType<EngineFactory> {
  return (pool.replicas ?? []).map(({ id, url, key }) => ({
    id,
    engine: createRemoteEngine({
      url,
      dialect,
      key: key === undefined ? null : secretOf(key, environment),
      auth: pool.auth ?? (dialect === 'anthropic' ? 'x-api-key' : 'bearer'),
      hasResponses: pool.responses,
      connectionsMax: config.bounds.replica_connections,
      connectTimeoutMs: config.timeouts.connect_ms,
      keepAliveMs: 10_000,
    }),
  }));
}

function secretOf(reference: string, environment: Readonly<Record<string, string | undefined>>): string {
  const secret = readSecret(reference, environment);
  if (!secret.ok) throw new CannotStart(secret.error);
  return secret.value;
}

/** Something that the operator has to mend before a start can succeed; its message says what. */
export class CannotStart extends Error {
  override readonly name = 'CannotStart';
}
