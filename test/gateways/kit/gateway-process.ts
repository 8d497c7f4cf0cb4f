import { spawn, type ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';
import path from 'node:path';
import * as answers from '../../gateway/kit/answers.ts';
import { ask, open, type OpenRequest, type Received } from '../../gateway/kit/client.ts';
import { until } from '../../gateway/kit/until.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');
/** A loaded machine of two cores needs its time for three processes at once. */
const START_MS = 30_000;

/** One real `plimsoll serve`, with a data folder and a port of its own, which it keeps when it is started again. */
export interface GatewayProcess {
  readonly port: number;
  readonly dataDirectory: string;
  /** A whole message, or the refusal. */
  call(key: string, more?: object): Promise<Received>;
  /** A streamed message, under way. */
  stream(key: string, more?: object): OpenRequest;
  /** The admin API, with the first admin key. */
  admin(method: 'GET' | 'POST' | 'PATCH', route: string, body?: object): Promise<AdminAnswer>;
  /** Is it a key that calls models? Asks for nothing that is limited. */
  knows(key: string): Promise<boolean>;
  /** A sample of `/metrics`. */
  metric(name: string): Promise<number>;
  /** Runs a command of the CLI against this gateway. @returns what it printed; rejects when it fails */
  command(words: readonly string[]): Promise<string>;
  signal(name: 'SIGSTOP' | 'SIGCONT'): void;
  /** `kill -9`. Resolves when it is gone. */
  kill(): Promise<void>;
  /** @returns how long it took to listen, ms */
  start(): Promise<number>;
  readonly log: () => string;
}

export interface AdminAnswer {
  readonly status: number;
  // Tests look into answers of many shapes; what is not there fails the test.
  readonly body: Record<string, unknown>;
}

export interface GatewayOptions {
  readonly folder: string;
  readonly configFile: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Known once the fleet has begun. */
  readonly adminKey: () => string;
}

/** A gateway that has not been started yet. */
export async function gatewayProcess({ folder, configFile, environment, adminKey }: GatewayOptions): Promise<GatewayProcess> {
  const port = await freePort();
  const dataDirectory = path.join(folder, 'data');
  const env = {
    ...process.env,
    ...environment,
    PLIMSOLL_CONFIG: configFile,
    PLIMSOLL_DATA: dataDirectory,
    PLIMSOLL_PORT: String(port),
  };
  let child: ChildProcess | null = null;
  let log = '';
  const run = (words: readonly string[], more: Readonly<Record<string, string>> = {}): ChildProcess =>
    spawn(process.execPath, [path.join(ROOT, 'src/cli/main.ts'), ...words], {
      cwd: folder,
      env: { ...env, ...more },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  return {
    port,
    dataDirectory,
    log: () => log,
    call: (key, more = {}) => ask(port, { path: answers.MESSAGES, key, body: answers.messagesRequest(more) }),
    stream: (key, more = {}) =>
      open(port, { path: answers.MESSAGES, key, body: answers.messagesRequest({ stream: true, ...more }) }),
    async admin(method, route, body) {
      const answer = await fetch(`http://127.0.0.1:${port}/admin/v1/${route}`, {
        method,
        headers: { 'x-api-key': adminKey(), 'content-type': 'application/json' },
        ...(body && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(20_000),
      });
      return { status: answer.status, body: (await answer.json()) as AdminAnswer['body'] };
    },
    async knows(key) {
      const { ok } = await fetch(`http://127.0.0.1:${port}/v1/models`, { headers: { 'x-api-key': key } });
      return ok;
    },
    async metric(name) {
      const answer = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { 'x-api-key': adminKey() } });
      const sample = (await answer.text()).split('\n').find((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
      return sample === undefined ? Number.NaN : Number(sample.split(' ').at(-1));
    },
    command(words) {
      const running = run(words, { PLIMSOLL_ADMIN_KEY: adminKey() });
      let [out, said] = ['', ''];
      running.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString()));
      running.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
      return new Promise((resolve, reject) =>
        running.once('close', (code) => (code === 0 ? resolve(out) : reject(new Error(`${code}: ${said}`)))),
      );
    },
    signal: (name) => void child?.kill(name),
    async kill() {
      const dying = child;
      child = null;
      if (dying === null || dying.exitCode !== null || dying.signalCode !== null) return;
      const gone = new Promise((resolve) => dying.once('exit', resolve));
      dying.kill('SIGKILL');
      await gone;
    },
    async start() {
      const started = run(['serve', '--json']);
      child = started;
      let banner = '';
      log = '';
      started.stdout?.on('data', (chunk: Buffer) => (banner += chunk.toString()));
      started.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()));
      const tookMs = await until(
        () => started.exitCode !== null || banner.includes(`:${port}"`),
        'it says where it listens',
        START_MS,
      );
      if (started.exitCode !== null) throw new Error(`it ended with ${started.exitCode}: ${log}`);
      return tookMs;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return address !== null && typeof address === 'object' ? address.port : 0;
}
