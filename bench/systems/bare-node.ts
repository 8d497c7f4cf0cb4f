import { readFileSync } from 'node:fs';
import { startPinned } from '../host/pinned.ts';
import { findFreePort, waitUntilUp } from '../host/ports.ts';
import { acceptsConnections } from '../host/accepts-connections.ts';
import type { System } from './system.ts';

const PROXY = new URL('./bare-node-proxy.ts', import.meta.url);

/** The bare Node proxy that the targets are ratios of. */
export const bareNode: System = {
  name: 'bare-node',
  about: 'node:http + undici Pool.dispatch, about thirty lines that do nothing else (bench/systems/bare-node-proxy.ts)',
  dialects: ['anthropic', 'openai'],
  async start(place) {
    const port = await findFreePort();
    const started = await startPinned({
      core: place.core,
      command: process.execPath,
      args: [...place.nodeArgs, PROXY.pathname, String(port), `http://127.0.0.1:${place.upstreamPort}`],
    });
    await waitUntilUp(started, () => acceptsConnections(port), 10_000);
    return { pid: started.pid, port, version: `Node ${process.version}, undici ${undiciVersion()}`, stop: () => started.stop() };
  },
};

function undiciVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../node_modules/undici/package.json', import.meta.url), 'utf8'));
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : 'unknown';
}
