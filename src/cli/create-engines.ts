import { existsSync } from 'node:fs';
import type { Clock, Random } from '#contracts/clock';
import type { Config, PoolConfig } from '#contracts/config';
import {
  createEmbeddedEngine,
  createLlamaGenerator,
  createRemoteEngine,
  createSimulatedGenerator,
  PROFILES,
  type Generator,
} from '#engines';
import type { EngineFactory } from '#gateway';
import { readSecret, type Log } from '#runtime';

export interface EngineParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Makes the engines that a configuration names. What the operator has to mend first stops the start, with words that say what. */
export function createEngineFactory(config: Config, parts: EngineParts): EngineFactory {
  return (pool) => {
    if (pool.dialect !== undefined) return remoteEngines(pool, pool.dialect, config, parts.environment);
    const generator = pool.engine === 'llama' ? llama(pool, parts) : simulated(pool, parts);
    return [
      {
        id: pool.id,
        engine: createEmbeddedEngine(generator, { dialect: 'anthropic', clock: parts.clock, random: parts.random }),
      },
    ];
  };
}

function simulated(pool: PoolConfig, { clock }: EngineParts): Generator {
  const named = Object.hasOwn(PROFILES, pool.profile) ? PROFILES[pool.profile as keyof typeof PROFILES] : undefined;
  if (named === undefined)
    throw new CannotStart(`pool ${pool.id}: no profile is called ${pool.profile}; known: ${Object.keys(PROFILES).join(', ')}`);
  return createSimulatedGenerator({ clock, seed: pool.seed, profile: named.profile });
}

function llama(pool: PoolConfig, { clock, log }: EngineParts): Generator {
  const modelPath = pool.model_path ?? '';
  if (!existsSync(modelPath))
    throw new CannotStart(
      `pool ${pool.id}: there is no model file ${modelPath}; SmolLM2 comes with: plimsoll model pull smollm2`,
    );
  return createLlamaGenerator({
    modelPath,
    clock,
    contextTokens: pool.context_tokens,
    parallel: pool.parallel,
    ...(pool.threads === undefined ? {} : { threads: pool.threads }),
    onStatus: (status) => log.info('llama', { pool: pool.id, status: JSON.stringify(status) }),
  });
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
