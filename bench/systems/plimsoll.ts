import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { startPinned } from '../host/pinned.ts';
import { answersGet, findFreePort, waitUntilUp } from '../host/ports.ts';
import { modelName, type Script, type WireDialect } from '../mock/script.ts';
import type { System } from './system.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** Ourselves, as an operator runs us: authentication, metering, the journal and its flow into the embedded store all on. */
export const plimsoll: System = plimsollWith({
  name: 'plimsoll',
  about: 'as served: authentication, parsing, metering, journal and its flow into the embedded store on; model names mapped',
});

/** @param configured - more of its configuration file */
export function plimsollWith({
  configured = {},
  endUser,
  ...named
}: Pick<System, 'name' | 'about'> & { readonly configured?: object; readonly endUser?: string }): System {
  return {
    ...named,
    dialects: ['anthropic', 'openai'],
    install: () => (existsSync(MAIN) ? Promise.resolve() : Promise.reject(new Error('src/cli/main.ts is not there yet'))),
    async start(place) {
      const port = await findFreePort();
      const configuration = path.join(place.folder, 'plimsoll.yaml');
      const data = path.join(place.folder, 'data');
      writeFileSync(configuration, stringify({ ...configurationFor(place.scripts, place.upstreamPort), ...configured }));
      const started = await startPinned({
        core: place.core,
        command: process.execPath,
        // The flag that `npm start` and the package's own command give Node: src/cli/main.ts says why.
        args: ['--no-allocation-site-pretenuring', ...place.nodeArgs, MAIN, 'serve'],
        env: { PLIMSOLL_CONFIG: configuration, PLIMSOLL_DATA: data, PLIMSOLL_PORT: String(port) },
      });
      await waitUntilUp(started, () => answersGet(port, '/readyz'), 60_000);
      const keys = readKeys(path.join(data, 'first-keys.json'));
      const key = keys.api_key;
      return {
        pid: started.pid,
        port,
        headersFor: (dialect) => (dialect === 'anthropic' ? { 'x-api-key': key } : { authorization: `Bearer ${key}` }),
        version: `Node ${process.version}`,
        modelOf: servedName,
        ...(endUser === undefined ? {} : { endUser }),
        async metrics() {
          const answer = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { 'x-api-key': keys.admin_key } });
          return answer.text();
        },
        stop: () => started.stop(20_000),
      };
    },
  };
}

/** Another name than the upstream's, so that the two splices of the model's name are in what is measured. */
function servedName(script: Script, dialect: WireDialect): string {
  return `${dialect}-${modelName(script)}`;
}

function configurationFor(scripts: readonly Script[], upstreamPort: number): object {
  const upstream = `http://127.0.0.1:${upstreamPort}`;
  const pool = (dialect: WireDialect, url: string): object => ({
    id: `mock-${dialect}`,
    dialect,
    replicas: [{ id: `${dialect}-1`, url }],
  });
  const models = (dialect: WireDialect): readonly object[] =>
    scripts.map((script) => ({
      id: servedName(script, dialect),
      serve: [{ pool: `mock-${dialect}`, upstream_model: modelName(script) }],
    }));
  return {
    pools: [pool('anthropic', upstream), pool('openai', `${upstream}/v1`)],
    models: [...models('anthropic'), ...models('openai')],
  };
}

function readKeys(file: string): { readonly api_key: string; readonly admin_key: string } {
  const keys: unknown = JSON.parse(readFileSync(file, 'utf8'));
  if (typeof keys === 'object' && keys !== null && 'api_key' in keys && 'admin_key' in keys) {
    const { api_key, admin_key } = keys;
    if (typeof api_key === 'string' && typeof admin_key === 'string') return { api_key, admin_key };
  }
  throw new Error('first-keys.json holds no api_key and admin_key');
}
