import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { GatewayStart, Started } from './gateway-process.ts';
import { readMetrics } from './metrics-text.ts';

/**
 * A proxy of the kind that people write in an afternoon: it passes bytes on, ends well whatever happens, and tells nobody
 * anything. Entries have to find it wanting.
 */
export const startNaiveProxy = (start: GatewayStart): Promise<Started> => startProxy(start, { isConfused: false });

/** The same, and every twentieth request is answered with what another was told. */
export const startConfusedProxy = (start: GatewayStart): Promise<Started> => startProxy(start, { isConfused: true });

async function startProxy(
  { config, directory }: GatewayStart,
  { isConfused }: { readonly isConfused: boolean },
): Promise<Started> {
  let asked = 0;
  let told = '';
  const pools = typeof config === 'string' ? [] : ((config as Config).pools ?? []);
  const server = createServer((incoming, outgoing) => {
    let body = '';
    incoming.on('data', (data: Buffer) => (body += data.toString()));
    incoming.on('error', () => {});
    incoming.on('end', () => {
      const model = /"model":"([^"]*)"/.exec(body)?.[1];
      const base = (pools.find(({ id }) => id === model) ?? pools[0])?.replicas[0]?.url;
      if (base === undefined) return void outgoing.end('{}');
      const path = incoming.url?.replace(/^\/v1/, base.endsWith('/v1') ? '' : '/v1') ?? '/';
      const upstream = request(
        base + path,
        { method: 'POST', headers: { 'content-length': Buffer.byteLength(body) } },
        (response) => {
          outgoing.writeHead(response.statusCode ?? 200, { 'content-type': response.headers['content-type'] ?? 'text/plain' });
          const isMixedUp = isConfused && ++asked % 20 === 0 && told !== '';
          if (isMixedUp) outgoing.write(told);
          response.on('data', (data: Buffer) => {
            told = data.toString();
            if (!isMixedUp) outgoing.write(data);
          });
          response.on('error', () => outgoing.end());
          response.on('close', () => outgoing.end());
        },
      );
      upstream.on('error', () => outgoing.end());
      upstream.end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { promise: exit, resolve: onExit } = Promise.withResolvers<{ code: number | null; signal: string | null }>();
  const end = (signal: string | null): void => {
    server.close();
    server.closeAllConnections();
    onExit({ code: signal === null ? 0 : null, signal });
  };
  return {
    kind: 'serving',
    gateway: {
      port: (server.address() as AddressInfo).port,
      key: 'any',
      adminKey: 'any',
      dataDirectory: directory,
      pid: 0,
      metrics: () => Promise.resolve(readMetrics('')),
      records: () => Promise.resolve([]),
      operator: () => Promise.resolve({ status: 200, headers: {}, body: '{}', end: 'whole', totalMs: 0 }),
      log: () => '',
      kill: end,
      exit,
      stop() {
        end(null);
        return Promise.resolve();
      },
    },
  };
}

interface Config {
  readonly pools?: readonly { readonly id: string; readonly replicas: readonly { readonly url: string }[] }[];
}
