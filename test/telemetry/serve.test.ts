import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { ask } from '../gateway/kit/client.ts';
import { startCollector, type Collector } from './collector.ts';

// A whole process each: about two seconds, most of them the start of the usage store.
const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

interface Served {
  readonly port: number;
  readonly apiKey: string;
  readonly adminKey: string;
  stderr(): string;
  /** Asks it to end, and waits until it has. */
  end(): Promise<number | null>;
}

async function serve(telemetry: string, environment: Readonly<Record<string, string>> = {}): Promise<Served> {
  const folder = await mkdtemp(path.join(tmpdir(), 'plimsoll-telemetry-'));
  const config = path.join(folder, 'plimsoll.yaml');
  await writeFile(
    config,
    `listen: { port: 0 }
pools:
  - { id: toy, engine: simulated }
models:
  - { id: toy-1, serve: [ { pool: toy } ] }
${telemetry}
`,
  );
  const child = spawn(process.execPath, [MAIN, 'serve', '--json', '--config', config, '--data', path.join(folder, 'data')], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
  const exited = once(child, 'exit');
  let stderr = '';
  child.stderr.on('data', (chunk) => (stderr += String(chunk)));
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exited;
    await rm(folder, { recursive: true, force: true });
  });
  const [line] = (await Promise.race([
    once(createInterface(child.stdout), 'line'),
    exited.then(() => Promise.reject(new Error(`it ended: ${stderr}`))),
  ])) as [string];
  const { url, first_keys: firstKeys } = JSON.parse(line) as { url: string; first_keys: string };
  const keys = JSON.parse(await readFile(firstKeys, 'utf8')) as { api_key: string; admin_key: string };
  return {
    port: Number(new URL(url).port),
    apiKey: keys.api_key,
    adminKey: keys.admin_key,
    stderr: () => stderr,
    async end() {
      child.kill('SIGTERM');
      const [code] = (await exited) as [number | null];
      return code;
    },
  };
}

/** The page on observability names every series that a server with a collector has, and no other. */
async function expectDocumented({ port, adminKey }: Served): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { 'x-api-key': adminKey } });
  const served = [...(await answer.text()).matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => String(name));
  const page = await readFile(new URL('../../docs/observability.md', import.meta.url), 'utf8');
  const documented = [...page.matchAll(/^\| `([a-z_]+)` \| (?:counter|gauge|histogram) /gm)].map(([, name]) => String(name));
  expect(documented.toSorted()).toEqual(served.toSorted());
}

const askToy = ({ port, apiKey }: Served, headers = {}) =>
  ask(port, {
    path: '/v1/messages',
    key: apiKey,
    headers,
    body: {
      model: 'toy-1',
      max_tokens: 8,
      stream: true,
      metadata: { user_id: 'user_secret' },
      messages: [{ role: 'user', content: 'prompt_secret' }],
    },
  });
const withCollector = ({ endpoint }: Collector) => `telemetry: { otlp_endpoint: "${endpoint}", sample_ratio: 0 }`;

test('a served request becomes a trace under its caller’s, sent at the latest when the process ends, without prompt, key or user', async () => {
  const collector = await startCollector();
  const served = await serve(withCollector(collector));
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const answer = await askToy(served, { traceparent, 'x-session-id': 'conversation_secret' });
  expect(answer.status).toBe(200);
  await askToy(served);
  expect(await served.end()).toBe(0);

  const [request, ...rest] = collector.spans;
  expect(request).toMatchObject({
    traceId: '0af7651916cd43dd8448eb211c80319c',
    parentSpanId: 'b7ad6b7169203331',
    name: 'chat toy-1',
    attributes: {
      'gen_ai.provider.name': 'simulated',
      'plimsoll.outcome': 'answered',
      'plimsoll.request.id': answer.headers['request-id'],
    },
  });
  expect(rest.map(({ name }) => name)).toEqual(expect.arrayContaining(['receive', 'place', 'stream', 'chat toy-1']));
  expect(new Set(collector.spans.map(({ traceId }) => traceId)).size).toBe(1);
  const durations = collector.metrics.findLast(({ name }) => name === 'gen_ai.server.request.duration');
  expect(durations?.histogram.dataPoints).toMatchObject([{ count: 2 }]);
  const sent = JSON.stringify([collector.spans, collector.metrics, collector.resources]);
  expect(sent).not.toContain('secret');
  expect(sent).not.toContain(served.apiKey);
});

test('requests are answered and the process ends in time though its collector hangs', async () => {
  const collector = await startCollector('hang');
  const served = await serve(withCollector(collector).replace('sample_ratio: 0', 'sample_ratio: 1'));
  for (let count = 0; count < 5; count++) expect((await askToy(served)).status).toBe(200);
  const start = performance.now();
  expect(await served.end()).toBe(0);
  // Three seconds are the bound on the last exports; the usage store takes its own time.
  expect(performance.now() - start).toBeLessThan(8_000);
});

test('headers for the collector and compression come from OpenTelemetry’s own variables, and the docs list every series of /metrics', async () => {
  const collector = await startCollector();
  const served = await serve(withCollector(collector).replace('sample_ratio: 0', 'sample_ratio: 1'), {
    OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=harbor,authorization=Bearer%20collector_secret',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
  });
  expect((await askToy(served)).status).toBe(200);
  await expectDocumented(served);
  expect(await served.end()).toBe(0);
  expect(collector.spans.length).toBeGreaterThan(0);
  expect(collector.metrics).toHaveLength(4);
  for (const headers of collector.headers)
    expect(headers).toMatchObject({
      'x-tenant': 'harbor',
      authorization: 'Bearer collector_secret',
      'content-encoding': 'gzip',
    });
  expect(served.stderr()).not.toContain('collector_secret');
});
