import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { NotProvoked } from '../entry.ts';
import { findClosedPort } from './scripted-replica.ts';
import { until } from './stopwatch.ts';

/** A server that gateways need, in a process of its own: empty, on a loopback port, its files in a temporary directory. */
export interface ServerProcess {
  readonly port: number;
  readonly url: string;
  /** What it has logged. */
  log(): string;
  close(): Promise<void>;
}

export interface RedisServer extends ServerProcess {
  /** It accepts and never answers, until it thaws. */
  freeze(): void;
  thaw(): void;
}

/** Why no shared store of limits can be started here; null when one can. */
export const noRedis = (): string | null =>
  findProgram(['redis-server', 'valkey-server']) === null ? 'there is no redis-server or valkey-server on this machine' : null;

/** Why no PostgreSQL can be started here; null when one can. */
export const noPostgres = (): string | null =>
  findProgram(['postgres']) === null || findProgram(['initdb']) === null ? 'there is no PostgreSQL server on this machine' : null;

const READY_MS_MAX = 10_000;
const LOG_CHARACTERS_MAX = 16 * 1024 * 1024;

/** @param more - arguments such as `--maxmemory 1mb` */
export async function startRedis(more: readonly string[] = []): Promise<RedisServer> {
  const folder = await mkdtemp(path.join(tmpdir(), 'plimsoll-redis-'));
  const port = await findClosedPort();
  const program = findProgram(['redis-server', 'valkey-server']) ?? '';
  const args = ['--bind', '127.0.0.1', '--port', String(port), '--dir', folder, '--save', '', '--appendonly', 'no', ...more];
  const child = spawn(program, args);
  const server = await watch(child, { folder, url: `redis://127.0.0.1:${port}`, port, isReady: /Ready to accept connections/ });
  return { ...server, freeze: () => void child.kill('SIGSTOP'), thaw: () => void child.kill('SIGCONT') };
}

/** Every statement that it runs is in its log. */
export async function startPostgres(): Promise<ServerProcess> {
  const folder = await mkdtemp(path.join(tmpdir(), 'plimsoll-postgres-'));
  const port = await findClosedPort();
  const owner = ownerOfPostgres();
  if (owner !== null) await chown(folder, owner.uid, owner.gid);
  const options = { cwd: folder, ...owner };
  const data = path.join(folder, 'data');
  execFileSync(findProgram(['initdb']) ?? '', ['-D', data, '-U', 'plimsoll', '-A', 'trust', '-N'], { ...options, stdio: 'pipe' });
  const settings = ['fsync=off', 'log_statement=all', 'log_min_duration_statement=-1', `unix_socket_directories=${folder}`];
  const args = ['-D', data, '-h', '127.0.0.1', '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])];
  return watch(spawn(findProgram(['postgres']) ?? '', args, options), {
    folder,
    url: `postgres://plimsoll@127.0.0.1:${port}/postgres`,
    port,
    isReady: /ready to accept connections/,
  });
}

interface Watched {
  readonly folder: string;
  readonly port: number;
  readonly url: string;
  readonly isReady: RegExp;
}

async function watch(child: ChildProcess, { folder, port, url, isReady }: Watched): Promise<ServerProcess> {
  let said = '';
  const hear = (data: Buffer): void => {
    if (said.length < LOG_CHARACTERS_MAX) said += data.toString();
  };
  child.stdout?.on('data', hear);
  child.stderr?.on('data', hear);
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  // No SIGKILL: PostgreSQL's other processes are told to end by this one.
  const end = (): void => {
    child.kill('SIGCONT');
    child.kill('SIGINT');
  };
  const onProcessEnd = (): void => {
    end();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  process.once('exit', onProcessEnd);
  const close = async (): Promise<void> => {
    process.off('exit', onProcessEnd);
    end();
    await ended;
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  if ((await until(() => isReady.test(said) || child.exitCode !== null, READY_MS_MAX)) === null || child.exitCode !== null) {
    await close();
    throw new NotProvoked(`${path.basename(child.spawnfile)} did not start: ${said.trim().slice(-300)}`);
  }
  return {
    port,
    url,
    log: () => said,
    close,
  };
}

/** Whether a Redis answers within so many ms. */
export function isAnswering(port: number, withinMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    const settle = (answers: boolean): void => {
      clearTimeout(bound);
      socket.destroy();
      resolve(answers);
    };
    const bound = setTimeout(() => settle(false), withinMs);
    socket.on('data', () => settle(true));
    socket.on('error', () => settle(false));
  });
}

/** A program on the path, or where packages put servers that are not on it. */
function findProgram(names: readonly string[]): string | null {
  const packaged = '/usr/lib/postgresql';
  const versions = existsSync(packaged) ? readdirSync(packaged).toSorted((a, b) => Number(b) - Number(a)) : [];
  const folders = [
    ...(process.env.PATH ?? '').split(path.delimiter),
    ...versions.map((version) => path.join(packaged, version, 'bin')),
    '/usr/sbin',
    '/usr/local/bin',
  ];
  const files = names.flatMap((name) => folders.map((folder) => path.join(folder, name)));
  return files.find((file) => existsSync(file)) ?? null;
}

/** PostgreSQL refuses to run as root; the user that its package makes will do. */
function ownerOfPostgres(): { readonly uid: number; readonly gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  const [, uid, gid] = /^postgres:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8')) ?? [];
  if (uid === undefined) throw new NotProvoked('PostgreSQL does not run as root, and there is no user postgres here');
  return { uid: Number(uid), gid: Number(gid) };
}
