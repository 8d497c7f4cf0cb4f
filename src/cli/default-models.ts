import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Config, ModelConfig, PoolConfig } from '#contracts/config';
import { parseConfig } from '#runtime';

/** What is served when the configuration names no model: the simulated engine always, SmolLM2 when its file is there. */
export function withDefaultModels(
  config: Config,
  dataDirectory: string,
): { readonly config: Config; readonly missingModel: string | null } {
  if (config.pools.length > 0 || config.models.length > 0) return { config, missingModel: null };
  const modelPath = path.join(dataDirectory, 'models', 'smollm2.gguf');
  const hasModel = existsSync(modelPath);
  const pools: string[] = ['{ id: simulated, engine: simulated, profile: small }'];
  const models: string[] = ['{ id: sim-small, display_name: "Simulated (small)", serve: [{ pool: simulated }] }'];
  if (hasModel) {
    pools.push(`{ id: smollm2, engine: llama, model_path: ${JSON.stringify(modelPath)} }`);
    models.push('{ id: smollm2, display_name: "SmolLM2 135M Instruct", serve: [{ pool: smollm2 }] }');
  }
  const defaults = parseConfig(`pools: [${pools.join(', ')}]\nmodels: [${models.join(', ')}]`);
  if (!defaults.ok) throw new Error(`the built-in models do not parse: ${JSON.stringify(defaults.error)}`);
  const parts: { readonly pools: PoolConfig[]; readonly models: ModelConfig[] } = defaults.value;
  return { config: { ...config, pools: parts.pools, models: parts.models }, missingModel: hasModel ? null : modelPath };
}
