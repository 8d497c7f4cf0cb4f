import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { startPinned } from '../host/pinned.ts';
import { answersGet, findFreePort, waitUntilUp } from '../host/ports.ts';
import { modelName, type Script } from '../mock/script.ts';
import { ensurePythonPackage, pythonEnvironment } from './python-environment.ts';
import type { System } from './system.ts';

/** Exact, because releases of this package have been taken over before: never one that has not been looked at. */
const REQUIREMENT = 'litellm[proxy]==1.100.0';

/** LiteLLM's proxy: the Python incumbent. */
export const litellm: System = {
  name: 'litellm',
  about: `pip ${REQUIREMENT}, one worker, no database, no keys`,
  dialects: ['anthropic', 'openai'],
  install: () => ensurePythonPackage('litellm', REQUIREMENT, 'bin/litellm'),
  async start(place) {
    const port = await findFreePort();
    const configuration = path.join(place.folder, 'litellm.json');
    writeFileSync(configuration, JSON.stringify(configurationFor(place.scripts, place.upstreamPort)));
    const started = await startPinned({
      core: place.core,
      command: path.join(pythonEnvironment('litellm'), 'bin/litellm'),
      args: ['--config', configuration, '--host', '127.0.0.1', '--port', String(port), '--num_workers', '1'],
      cwd: place.folder,
      // Its price table comes with it; without this it asks the network for a newer one at each start.
      env: { LITELLM_LOCAL_MODEL_COST_MAP: 'True', LITELLM_LOG: 'ERROR', LITELLM_MODE: 'PRODUCTION' },
    });
    await waitUntilUp(started, () => answersGet(port, '/health/liveliness'), 90_000);
    return {
      pid: started.pid,
      port,
      version: REQUIREMENT,
      modelOf: (script, dialect) => `${dialect}-${modelName(script)}`,
      stop: () => started.stop(5000),
    };
  },
};

/** YAML is a superset of JSON, so JSON it is. */
function configurationFor(scripts: readonly Script[], upstreamPort: number): object {
  const upstream = `http://127.0.0.1:${upstreamPort}`;
  const entry = (dialect: 'anthropic' | 'openai', base: string) => (script: Script) => ({
    model_name: `${dialect}-${modelName(script)}`,
    litellm_params: { model: `${dialect}/${modelName(script)}`, api_base: base, api_key: 'bench-key' },
  });
  return {
    model_list: [...scripts.map(entry('anthropic', upstream)), ...scripts.map(entry('openai', `${upstream}/v1`))],
    litellm_settings: { telemetry: false, num_retries: 0 },
  };
}
