import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { UsageRecord } from '#contracts/record';
import { createDiskFiles, createJournalReader } from '#storage';
import { ask, type AskOptions, type ClientAnswer } from './client.ts';
import { readMetrics, type Scrape } from './metrics-text.ts';
import { startStopwatch } from './stopwatch.ts';

/** A gateway as an operator and a client see it from outside. */
export interface GatewayUnderTest {
  readonly port: number;
  readonly key: string;
  readonly dataDirectory: string;
  /** Its process; 0 where it has none of its own. */
  readonly pid: number;
  metrics(): Promise<Scrape>;
  /** What its journal holds. */
  records(): Promise<readonly UsageRecord[]>;
  readonly adminKey: string;
  /** Asks an operator path, with its first admin key unless another is given. */
  operator(path: string, more?: Pick<AskOptions, 'method' | 'body' | 'key'>): Promise<ClientAnswer>;
  /** What it has logged, and printed. */
  log(): string;
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
  /** How it ended. */
  readonly exit: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  stop(): Promise<void>;
}

export interface GatewayStart {
  /** The configuration: an object, or the text of the file as it is. */
  readonly config: object | string;
  /** Where its data are, and its configuration is written. */
  readonly directory: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Of the first tenants, where another gateway of the same control store has made them. */
  readonly keys?: FirstKeys;
}

export interface FirstKeys {
  readonly key: string;
  readonly adminKey: string;
}

export type Started =
  | { readonly kind: 'serving'; readonly gateway: GatewayUnderTest }
  | { readonly kind: 'refused'; readonly exitCode: number | null; readonly said: string };

export type StartGateway = (start: GatewayStart) => Promise<Started>;

/** The same command that an operator uses: of the clone, or of the package that was built from it. */
const ENTRY = fileURLToPath(new URL(`../../main${path.extname(import.meta.url)}`, import.meta.url));
/** As main's own first line has it: memory is one of the things that are looked at. */
const FLAGS = ['--no-allocation-site-pretenuring'];
const START_MS_MAX = 20_000;
const LOG_CHARACTERS_MAX = 4 * 1024 * 1024;

/** Starts `plimsoll serve` in a process of its own; resolves when it serves, or has ended. */
export async function startGatewayProcess({ config, directory, environment, keys }: GatewayStart): Promise<Started> {
  mkdirSync(directory, { recursive: true });
  const configFile = path.join(directory, 'plimsoll.yaml');
  const dataDirectory = path.join(directory, 'data');
  writeFileSync(configFile, typeof config === 'string' ? config : JSON.stringify(config, null, 2));
  const child = spawn(process.execPath, [...FLAGS, ENTRY, 'serve', '--json'], {
    cwd: directory,
    env: {
      ...process.env,
      // Later starts of one run find what the first has compiled: a third of the time.
      NODE_COMPILE_CACHE: path.join(directory, '..', 'compiled'),
      PLIMSOLL_CONFIG: configFile,
      PLIMSOLL_DATA: dataDirectory,
      PLIMSOLL_PORT: '0',
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  const hear = (data: Buffer): void => {
    if (said.length < LOG_CHARACTERS_MAX) said += data.toString();
  };
  const exit = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
    child.once('close', (code, signal) => resolve({ code, signal })),
  );
  const { promise: address, resolve: onAddress } = Promise.withResolvers<{ readonly url: string }>();
  child.stderr.on('data', hear);
  child.stdout.on('data', (data: Buffer) => {
    hear(data);
    const line = said.split('\n').find((text) => text.startsWith('{"url"'));
    if (line !== undefined) onAddress(JSON.parse(line) as { url: string });
  });
  // A run that is interrupted leaves no gateway behind.
  const onProcessEnd = (): void => void child.kill('SIGKILL');
  process.once('exit', onProcessEnd);
  child.once('close', () => process.off('exit', onProcessEnd));
  const tooLate = AbortSignal.timeout(START_MS_MAX);
  const first = await Promise.race([
    address,
    exit.then(() => null),
    once(tooLate, 'abort').then(() => {
      child.kill('SIGKILL');
      return null;
    }),
  ]);
  if (first === null) return { kind: 'refused', exitCode: (await exit).code, said };
  return {
    kind: 'serving',
    gateway: watch(child, {
      port: Number(new URL(first.url).port),
      keys: keys ?? readFirstKeys(dataDirectory),
      dataDirectory,
      exit,
      log: () => said,
    }),
  };
}

function readFirstKeys(dataDirectory: string): FirstKeys {
  const read = JSON.parse(readFileSync(path.join(dataDirectory, 'first-keys.json'), 'utf8')) as {
    readonly api_key: string;
    readonly admin_key: string;
  };
  return { key: read.api_key, adminKey: read.admin_key };
}

interface Watched {
  readonly port: number;
  readonly keys: FirstKeys;
  readonly dataDirectory: string;
  readonly exit: GatewayUnderTest['exit'];
  readonly log: () => string;
}

const STOP_MS_MAX = 3_000;

function watch(child: ChildProcess, { port, keys, dataDirectory, exit, log }: Watched): GatewayUnderTest {
  const operator: GatewayUnderTest['operator'] = (route, more = {}) =>
    ask({ port, path: route, method: 'GET', key: keys.adminKey, boundMs: 8_000, ...more }).answer;
  return {
    port,
    ...keys,
    dataDirectory,
    pid: child.pid ?? 0,
    metrics: async () => readMetrics((await operator('/metrics')).body),
    records: () => readRecords(path.join(dataDirectory, 'journal')),
    operator,
    log,
    kill: (signal) => void child.kill(signal),
    exit,
    async stop() {
      const elapsed = startStopwatch();
      child.kill('SIGTERM');
      const force = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX - elapsed());
      await exit;
      clearTimeout(force);
    },
  };
}

/** All records that a journal holds, while it is being written or after. */
async function readRecords(directory: string): Promise<readonly UsageRecord[]> {
  if (!existsSync(directory)) return [];
  const reader = createJournalReader({ directory, files: createDiskFiles(), from: 0 });
  const records: UsageRecord[] = [];
  try {
    for (;;) {
      const piece = await reader.next({ syncedTo: Number.MAX_SAFE_INTEGER, recordsMax: 16_384 });
      if (piece.kind === 'lost') continue;
      if (piece.kind !== 'records') return records;
      const lines = piece.lines.toString('utf8').split('\n').slice(0, -1);
      records.push(...lines.map((line) => JSON.parse(line) as UsageRecord));
    }
  } finally {
    await reader.close();
  }
}
