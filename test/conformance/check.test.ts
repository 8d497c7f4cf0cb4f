import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { DialectName } from '../../src/cli/check/clients/client-dialect.ts';
import { DIALECT_NAMES } from '../../src/cli/check/clients/client-dialect.ts';
import { ALL_CHECKS } from '../../src/cli/check/checks/all-checks.ts';
import { createProbe } from '../../src/cli/check/probe.ts';
import { createReplica, type Replica } from '../../src/cli/check/replica/replica.ts';
import { runChecks, type CheckResult } from '../../src/cli/check/run-checks.ts';
import { loadSdkChecks } from '../../src/cli/check/sdk/sdk-checks.ts';
import { startGateway, type ConfigInput } from '../gateway/kit/start-gateway.ts';
import { startSmallGateway, type Mistake } from './small-gateway.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SDKS = ['@anthropic-ai/sdk', 'anthropic-sdk-0', 'openai'];
/** The suite waits out the replica's own retry-after of a second, twice a dialect. */
const SUITE_MS = 60_000;

const startReplica = async (upstreamKey: string | null): Promise<Replica> => {
  const replica = await createReplica({ host: '127.0.0.1', port: 0, upstreamKey });
  onTestFinished(() => replica.close());
  return replica;
};

interface Run {
  readonly url: string;
  readonly key: string | null;
  readonly replica: Replica | null;
  readonly upstreamKey: string | null;
  readonly dialects?: readonly DialectName[];
  readonly modelOf: (dialect: DialectName) => string | null;
  readonly withSdks?: true;
}

async function runSuite({ url, dialects = DIALECT_NAMES, withSdks, ...rest }: Run): Promise<readonly CheckResult[]> {
  const probe = createProbe({ url, headers: {}, timeoutMs: 5_000 });
  onTestFinished(() => probe.close());
  const results: CheckResult[] = [];
  await runChecks({
    ...rest,
    probe,
    dialects,
    checks: [...(withSdks ? await loadSdkChecks(SDKS, ROOT) : []), ...ALL_CHECKS],
    isDemanded: true,
    watchMs: 1_200,
    onResult: (result) => results.push(result),
    onCheck: () => undefined,
  });
  return results;
}

const idsOf = (results: readonly CheckResult[], kind: string) =>
  results.filter(({ verdict }) => verdict.kind === kind).map(({ dialect, id }) => `${dialect} ${id}`);
const failuresOf = (results: readonly CheckResult[]) =>
  results
    .filter(({ verdict }) => verdict.kind === 'fail')
    .map(({ dialect, id, verdict }) => `${dialect} ${id}: ${verdict.because}`);

function configFor({ anthropicUrl, openaiUrl }: Replica): ConfigInput {
  const replica = { id: 'check', key: 'env:UPSTREAM_KEY' };
  return {
    pools: [
      { id: 'a', dialect: 'anthropic', replicas: [{ ...replica, url: anthropicUrl }] },
      { id: 'o', dialect: 'openai', responses: true, replicas: [{ ...replica, url: openaiUrl }] },
    ],
    models: [
      { id: 'check-a', serve: [{ pool: 'a', upstream_model: 'org/check' }] },
      { id: 'check-o', serve: [{ pool: 'o', upstream_model: 'org/check' }] },
    ],
  };
}

describe('plimsoll check', () => {
  test(
    'finds nothing wrong and leaves nothing open with this gateway, each dialect to itself, official clients included',
    async () => {
      const replica = await startReplica('upstream-secret');
      const served = await startGateway({ config: configFor(replica) });
      const results = await runSuite({
        url: served.url,
        key: served.key,
        replica,
        upstreamKey: 'upstream-secret',
        modelOf: (dialect) => (dialect === 'anthropic' ? 'check-a' : 'check-o'),
        withSdks: true,
      });
      expect(failuresOf(results)).toEqual([]);
      expect(idsOf(results, 'unknown')).toEqual([]);
      expect(results.length).toBeGreaterThan(190);
    },
    SUITE_MS,
  );

  test(
    'finds nothing wrong with this gateway across dialects, and says what cannot cross',
    async () => {
      const replica = await startReplica('upstream-secret');
      const served = await startGateway({ config: configFor(replica) });
      const results = await runSuite({
        url: served.url,
        key: served.key,
        replica,
        upstreamKey: 'upstream-secret',
        modelOf: (dialect) => (dialect === 'anthropic' ? 'check-o' : 'check-a'),
        withSdks: true,
      });
      expect(failuresOf(results)).toEqual([]);
      expect(idsOf(results, 'unknown')).toEqual([
        'anthropic sdk.@anthropic-ai/sdk.count-tokens',
        'anthropic sdk.anthropic-sdk-0.count-tokens',
        'anthropic tokens.count',
        'anthropic crosses.unknown-fields',
        'anthropic crosses.exact-json',
        'anthropic crosses.beta-headers',
        'anthropic crosses.version',
        'openai-chat crosses.unknown-fields',
        'openai-chat crosses.exact-json',
        'openai-responses crosses.unknown-fields',
        'openai-responses crosses.exact-json',
      ]);
    },
    SUITE_MS,
  );

  test('tells from outside what it can, and of the rest that it cannot', async () => {
    const served = await startGateway({ config: configFor(await startReplica('upstream-secret')) });
    const results = await runSuite({ url: served.url, key: served.key, replica: null, upstreamKey: null, modelOf: () => null });
    expect(failuresOf(results)).toEqual([]);
    const unknown = results.filter(({ verdict }) => verdict.kind === 'unknown');
    expect(unknown.length).toBeGreaterThan(50);
    for (const { verdict } of unknown)
      expect(verdict).toMatchObject({ wouldSettle: expect.stringContaining('--behind') as string });
  });
});

/** Each mistake, and every check of Anthropic's dialect that must see it. */
const MISTAKES: readonly (readonly [Mistake | null, readonly string[]])[] = [
  [null, []],
  ['swallows breaks', ['broken.reset-mid-stream', 'broken.cut-mid-stream', 'broken.cut-before-content', 'broken.reset-whole']],
  ['leaks aborts', ['abort.before-first-byte', 'abort.mid-stream', 'abort.whole']],
  [
    'rewrites errors',
    [
      'versions.2026-10-21-sampling',
      'versions.missing',
      'versions.unknown',
      'models.one',
      'errors.malformed-json',
      'errors.missing-field',
      'errors.missing-model',
      'errors.unknown-model',
      'errors.unknown-path',
      'errors.wrong-key',
      'errors.no-key',
      'errors.compressed-body',
      'errors.too-large',
      'upstream.bad-request',
      'upstream.server-error',
      'upstream.busy-429',
      'upstream.busy-529',
    ],
  ],
  ['gathers streams', ['intact.incremental']],
  ['drops unknown fields', ['crosses.unknown-fields', 'crosses.exact-json']],
  ['loses tool arguments', ['intact.tools-streamed']],
  ['passes cookies on', ['crosses.credentials']],
  ['makes up betas', ['crosses.beta-headers']],
];

test.each(MISTAKES)(
  'a small gateway whose mistake is %j fails exactly the checks that should see it',
  async (mistake, expected) => {
    const replica = await startReplica('the-key');
    const url = await startSmallGateway(replica.anthropicUrl, mistake);
    const dialects = ['anthropic'] as const;
    const results = await runSuite({ url, key: 'the-key', replica, upstreamKey: 'the-key', dialects, modelOf: () => 'check' });
    expect(results.length).toBeGreaterThan(50);
    expect(results.filter(({ verdict }) => verdict.kind === 'fail').map(({ id }) => id)).toEqual(expected);
  },
  SUITE_MS,
);

test(
  'a second message_start is seen wherever a stream is heard',
  async () => {
    const replica = await startReplica('the-key');
    const url = await startSmallGateway(replica.anthropicUrl, 'starts twice');
    const dialects = ['anthropic'] as const;
    const results = await runSuite({ url, key: 'the-key', replica, upstreamKey: 'the-key', dialects, modelOf: () => 'check' });
    const seen = results.filter(({ verdict }) => verdict.kind === 'fail' && verdict.because.includes('second message_start'));
    expect(seen.map(({ id }) => id)).toEqual(
      expect.arrayContaining(['answers.stream', 'intact.text-streamed', 'intact.tools-streamed', 'intact.thinking']),
    );
  },
  SUITE_MS,
);

/** One that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe('plimsoll check, the command', () => {
  const run = async (args: readonly string[]) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-check-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    writeFileSync(
      path.join(folder, 'main.ts'),
      `import { Command } from ${JSON.stringify(import.meta.resolve('commander'))};
import { registerCheck } from ${JSON.stringify(new URL('../../src/cli/check.ts', import.meta.url).href)};
const program = new Command('plimsoll');
registerCheck(program);
await program.parseAsync();
`,
    );
    // A process of its own, in a folder where no client is installed: some hundred milliseconds.
    const child = spawn(process.execPath, [path.join(folder, 'main.ts'), 'check', ...args], { cwd: folder });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
    child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, stdout, stderr };
  };

  test('reports as JSON, exits 0 when all that could be told holds, and never prints the key', async () => {
    const served = await startGateway({ config: configFor(await startReplica('upstream-secret')) });
    const { code, stdout, stderr } = await run([served.url, '--key', served.key, '--dialects', 'anthropic', '--json']);
    const report = JSON.parse(stdout) as { results: { id: string; verdict: string }[]; summary: Record<string, number> };
    expect(report.summary).toMatchObject({ failed: 0 });
    expect(report.results).toContainEqual(expect.objectContaining({ id: 'errors.wrong-key', verdict: 'pass' }));
    expect(report.results).toContainEqual(
      expect.objectContaining({
        id: 'sdk.@anthropic-ai/sdk',
        verdict: 'unknown',
        would_settle: expect.stringContaining('npm install') as string,
      }),
    );
    expect(code).toBe(0);
    expect(stdout + stderr).not.toContain(served.key);
  });

  test('starts a replica with --behind, shows both sides and exits 1 for what fails; without it, the same is a question', async () => {
    const port = await freePort();
    const gateway = await startSmallGateway(`http://127.0.0.1:${port}`, 'drops unknown fields');
    const both = await run([
      gateway,
      '--behind',
      '--behind-port',
      String(port),
      '--dialects',
      'anthropic',
      '--model',
      'check',
      '--only',
      'crosses,abort',
    ]);
    expect(both.stderr).toContain(`url: "http://127.0.0.1:${port}/v1"`);
    expect(both.stdout).toMatch(
      /✓ a client that leaves in mid-stream stops the replica \[abort\.mid-stream\]: told after \d+ ms/,
    );
    expect(both.stdout).toContain('✗ fields that the gateway does not know reach the replica');
    expect(both.code).toBe(1);
    const replica = await startReplica(null);
    const reached = await startSmallGateway(replica.anthropicUrl, 'drops unknown fields');
    const outside = await run([reached, '--dialects', 'anthropic', '--model', 'check', '--only', 'answers,abort']);
    expect(outside.stdout).toContain('✓ a whole answer has every field that clients read');
    expect(outside.stdout).toContain('? a client that leaves in mid-stream stops the replica');
    expect(outside.code).toBe(0);
  });

  test.each([
    [['not a url'], 'http:// or https://'],
    [['http://127.0.0.1:1', '--dialects', 'latin'], 'openai-responses'],
    [['http://127.0.0.1:1', '--header', 'nonsense'], "is not 'name: value'"],
    [['http://127.0.0.1:1', '--only', 'nothing-of-the-kind'], 'no check is called'],
  ])('exits 2 for a command line that is wrong: %j', async (args, words) => {
    const { code, stderr } = await run(args);
    expect(stderr).toContain(words);
    expect(code).toBe(2);
  });

  test('exits 3 where nothing could be told: no model, or a gateway that never reaches the replica', async () => {
    const url = await startSmallGateway(`http://127.0.0.1:${await freePort()}`, null);
    const noModel = await run([url, '--only', 'answers']);
    expect(noModel.stdout).toContain('0 ✓, 0 ✗, 3 ? (nothing could be told)');
    expect(noModel.code).toBe(3);
    const never = await run([url, '--behind', '--behind-port', '0', '--wait', '0', '--model', 'check']);
    expect(never.stderr).toContain('the gateway did not reach the replica (last: status 502)');
    expect(never.code).toBe(3);
  });
});
