import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import * as answers from './kit/answers.ts';
import { ask, open } from './kit/client.ts';
import { startReplica, type ScriptedReplica } from './kit/scripted-replica.ts';
import { until } from './kit/until.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
/** A real process loads the embedded store and both engines; a loaded machine of two cores needs its time for that. */
const START_MS = 25_000;

interface Served {
  readonly child: ChildProcess;
  readonly port: number;
  readonly key: string;
  readonly exit: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  readonly stderr: () => string;
}

function makeDirectory(replica: ScriptedReplica, drainMs: number): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'plimsoll-process-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));
  writeFileSync(
    path.join(directory, 'plimsoll.yaml'),
    [
      'listen: { port: 0 }',
      `timeouts: { drain_ms: ${drainMs} }`,
      `pools: [ { id: harbor, dialect: anthropic, replicas: [ { id: eu-1, url: "${replica.url}" } ] } ]`,
      'models: [ { id: harbor-1, serve: [ { pool: harbor } ] } ]',
    ].join('\n'),
  );
  return directory;
}

/** The server as `npm start` runs it. */
async function serve(directory: string): Promise<Served> {
  const child = spawn(process.execPath, [path.join(ROOT, 'src/cli/main.ts'), 'serve', '--json'], {
    cwd: directory,
    env: {
      ...process.env,
      PLIMSOLL_CONFIG: path.join(directory, 'plimsoll.yaml'),
      PLIMSOLL_DATA: path.join(directory, 'data'),
      PLIMSOLL_PORT: '0',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  let hasExited = false;
  const exit = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
    child.once('exit', (code, signal) => {
      hasExited = true;
      resolve({ code, signal });
    }),
  );
  await until(() => hasExited || /:\d{4,5}\b/.test(stdout), 'the server says where it listens', START_MS);
  const port = Number(/:(\d{4,5})\b/.exec(stdout)?.[1]);
  expect(port, stdout + stderr).toBeGreaterThan(0);
  const keys = JSON.parse(readFileSync(path.join(directory, 'data/first-keys.json'), 'utf8')) as { api_key: string };
  return { child, port, key: keys.api_key, exit, stderr: () => stderr };
}

const STREAM = answers.messagesEvents(['Seven', ' feet', '.'], 'harbor-1');

test('on SIGTERM a real process finishes its streams, exits with 0, and its successor goes on with the same journal', async () => {
  const replica = await startReplica((exchange) => {
    exchange.head(200);
    exchange.chunk(STREAM.slice(0, 4).join(''));
  });
  const directory = makeDirectory(replica, 20_000);
  const first = await serve(directory);
  const asking = { path: answers.MESSAGES, key: first.key, body: answers.messagesRequest({ stream: true }) };
  const request = open(first.port, asking);
  await until(() => request.received().body.includes('Seven'), 'the stream runs');
  first.child.kill('SIGTERM');
  await until(() => first.stderr().includes('waiting for open requests'), 'it drains');
  replica.exchanges[0]!.chunk(STREAM.slice(4).join(''));
  replica.exchanges[0]!.last();
  expect((await request.answer).body.toString()).toBe(STREAM.join(''));
  expect(await first.exit).toEqual({ code: 0, signal: null });

  const second = await serve(directory);
  replica.answer((exchange) => exchange.events(STREAM.join('')));
  expect((await ask(second.port, { ...asking, key: second.key })).status).toBe(200);
  expect(second.key).toBe(first.key);
  expect(second.stderr()).not.toContain('torn');
  second.child.kill('SIGTERM');
  expect(await second.exit).toEqual({ code: 0, signal: null });
  expect(first.stderr() + second.stderr()).not.toMatch(/"level":"error"|unhandled|uncaught/i);
}, 90_000);

test('a second signal ends a real process at once, whatever still runs', async () => {
  const replica = await startReplica((exchange) => {
    exchange.head(200);
    exchange.chunk(STREAM.slice(0, 4).join(''));
  });
  const served = await serve(makeDirectory(replica, 60_000));
  const request = open(served.port, { path: answers.MESSAGES, key: served.key, body: answers.messagesRequest({ stream: true }) });
  await until(() => request.received().body.includes('Seven'), 'the stream runs');
  served.child.kill('SIGINT');
  await until(() => served.stderr().includes('waiting for open requests'), 'it drains');
  const at = performance.now();
  served.child.kill('SIGINT');
  expect((await served.exit).code).toBe(1);
  expect(performance.now() - at).toBeLessThan(2_000);
}, 60_000);
