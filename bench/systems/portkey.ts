import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startPinned } from '../host/pinned.ts';
import { answersGet, findFreePort, waitUntilUp } from '../host/ports.ts';
import type { System } from './system.ts';

const FOLDER = fileURLToPath(new URL('../peers/portkey/', import.meta.url));
const START_SCRIPT = `${FOLDER}node_modules/@portkey-ai/gateway/build/start-server.js`;

/** Portkey's open-source gateway: the TypeScript incumbent. */
export const portkey: System = {
  name: 'portkey',
  about:
    '@portkey-ai/gateway 1.15.2, headless; hono 4.9.7, @hono/node-server 1.13.5, @hono/node-ws 1.2.0 pinned, or streams fail',
  dialects: ['anthropic', 'openai'],
  async install() {
    if (existsSync(START_SCRIPT)) return;
    await promisify(execFile)('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: FOLDER });
  },
  async start(place) {
    const port = await findFreePort();
    const started = await startPinned({
      core: place.core,
      command: process.execPath,
      args: [...place.nodeArgs, START_SCRIPT, `--port=${port}`, '--headless'],
      cwd: FOLDER,
      env: { NODE_ENV: 'production' },
    });
    await waitUntilUp(started, () => answersGet(port, '/'), 20_000);
    return {
      pid: started.pid,
      port,
      headersFor: (dialect) => ({
        'x-portkey-provider': dialect,
        'x-portkey-custom-host': `http://127.0.0.1:${place.upstreamPort}/v1`,
      }),
      version: `Node ${process.version}`,
      stop: () => started.stop(3000),
    };
  },
};
