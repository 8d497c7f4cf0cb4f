import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Redis } from 'ioredis';
import { onTestFinished } from 'vitest';

/** The server's program: named by the environment, or where a package puts it; null when there is none here. */
export const REDIS_SERVER: string | null =
  process.env.PLIMSOLL_TEST_REDIS_SERVER ??
  ['/usr/bin/redis-server', '/usr/bin/valkey-server', '/usr/local/bin/redis-server'].find((file) => existsSync(file)) ??
  null;
export const SKIPPED = REDIS_SERVER === null ? ' (skipped: no redis-server here: apt-get install redis-server)' : '';

/** A server of one test, on a loopback port of its own; it goes with the test. */
export interface RedisServer {
  readonly port: number;
  readonly url: string;
  /** A connection for the test's own questions. */
  readonly ask: Redis;
  signal(name: 'SIGSTOP' | 'SIGCONT'): void;
  /** Ends it at once, as a lost machine would. */
  kill(): Promise<void>;
  /** Starts it again, on the same port and folder. */
  start(): Promise<void>;
}

/** @param more - arguments such as `--appendonly yes`; without, nothing is kept on the disk */
export async function startRedis(more: readonly string[] = []): Promise<RedisServer> {
  const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-redis-'));
  const port = await freePort();
  let child: ChildProcess | null = null;
  const start = async (): Promise<void> => {
    child = spawn(
      REDIS_SERVER ?? '',
      [
        '--bind',
        '127.0.0.1',
        '--port',
        String(port),
        '--dir',
        folder,
        '--save',
        '',
        '--appendonly',
        'no',
        '--repl-diskless-sync-delay',
        '0',
        ...more,
      ],
      { stdio: 'ignore' },
    );
    await answers(port);
  };
  const kill = async (): Promise<void> => {
    const dying = child;
    child = null;
    if (dying === null || dying.exitCode !== null) return;
    const gone = new Promise((resolve) => dying.once('exit', resolve));
    dying.kill('SIGCONT');
    dying.kill('SIGKILL');
    await gone;
  };
  await start();
  const ask = new Redis({ port, host: '127.0.0.1', protocol: 2, maxRetriesPerRequest: null, retryStrategy: () => 50 });
  ask.on('error', () => undefined);
  onTestFinished(async () => {
    ask.disconnect();
    await kill();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  return { port, url: `redis://127.0.0.1:${port}`, ask, signal: (name) => void child?.kill(name), kill, start };
}

/** Three nodes that share the slots. @returns its URL */
export async function startCluster(): Promise<{ readonly url: string; readonly nodes: readonly RedisServer[] }> {
  const nodes = await Promise.all(
    [1, 2, 3].map(() => startRedis(['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000'])),
  );
  const share = Math.ceil(16_384 / nodes.length);
  for (const [at, node] of nodes.entries()) {
    await node.ask.call('CLUSTER', 'ADDSLOTSRANGE', at * share, Math.min(16_383, (at + 1) * share - 1));
    await node.ask.call('CLUSTER', 'SET-CONFIG-EPOCH', at + 1);
  }
  const first = nodes[0] as RedisServer;
  for (const node of nodes.slice(1)) await node.ask.call('CLUSTER', 'MEET', '127.0.0.1', first.port);
  for (const node of nodes)
    await eventually(async () => {
      const info = String(await node.ask.call('CLUSTER', 'INFO'));
      return info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:3');
    });
  return { url: `redis-cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`, nodes };
}

/** A port that stays the same while what is behind it changes, as a name or a virtual address does. */
export async function startSwitch(to: number): Promise<{ readonly url: string; turn(to: number): void }> {
  let target = to;
  const sockets = new Set<{ destroy(): void }>();
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(() => {
    server.close();
    cut();
  });
  return {
    url: `redis://127.0.0.1:${portOf(server)}`,
    turn(next) {
      target = next;
      cut();
    },
  };
}

/** Asks again every few ms until it is so. */
export async function eventually(isSo: () => boolean | Promise<boolean>, boundMs = 15_000, everyMs = 5): Promise<void> {
  const startedAt = performance.now();
  while (!(await isSo())) {
    if (performance.now() - startedAt > boundMs) throw new Error(`not so after ${boundMs} ms: ${isSo.toString().slice(0, 200)}`);
    await pause(everyMs);
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function answers(port: number): Promise<void> {
  const probe = new Redis({ port, host: '127.0.0.1', protocol: 2, maxRetriesPerRequest: null, retryStrategy: () => 20 });
  probe.on('error', () => undefined);
  try {
    await eventually(async () => (await probe.ping().catch(() => '')) === 'PONG');
  } finally {
    probe.disconnect();
  }
}

async function freePort(): Promise<number> {
  // A node of a cluster also takes the port 10,000 above its own.
  for (;;) {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const port = portOf(server);
    await new Promise<void>((resolve) => server.close(() => resolve()));
    if (port < 55_000) return port;
  }
}

function portOf(server: ReturnType<typeof createServer>): number {
  const address = server.address();
  return address !== null && typeof address === 'object' ? address.port : 0;
}
