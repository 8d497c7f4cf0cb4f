import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

// Each test starts a real process: some hundred milliseconds each.
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'plimsoll-failures-test-'));
  await writeFile(
    path.join(folder, 'main.ts'),
    `import { Command } from ${JSON.stringify(import.meta.resolve('commander'))};
import { registerFailures } from ${JSON.stringify(new URL('failures.ts', import.meta.url).href)};
const program = new Command('plimsoll');
registerFailures(program);
await program.parseAsync();
`,
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function failures(...args: readonly string[]): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(process.execPath, [path.join(folder, 'main.ts'), 'failures', ...args], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (output += data.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

test('plimsoll failures list tells signal and response of each, and whether it can be run here', async () => {
  const list = await failures('list');
  expect(list.code).toBe(0);
  expect(list.output).toMatch(
    /A8 {2}A replica breaks off[\s\S]*signal {4}plimsoll_upstream_errors_total[\s\S]*here {6}can be run/,
  );
  const { failures: rows } = JSON.parse((await failures('list', '--json')).output) as { failures: object[] };
  expect(rows[0]).toMatchObject({ id: 'A1', component: 'replica', severity: 3, runs_here: true, because: null });
});

test('plimsoll failures run provokes one by its id, and says what it saw as JSON', async () => {
  const run = await failures('run', 'a1', '--json', '--seed', '7');
  expect(run.code).toBe(0);
  const report = JSON.parse(run.output) as { failures: { checks: object[] }[] };
  expect(report).toMatchObject({ seed: 7, pass: 1, fail: 0, unmeasured: 0, failures: [{ id: 'A1', verdict: 'pass' }] });
  expect(report.failures[0]?.checks[0]).toMatchObject({
    about: 'response',
    kind: 'held',
    saw: expect.stringContaining('20 of 20') as string,
  });
});

test('an id that is none is said, with those that are, and nothing is provoked', async () => {
  const run = await failures('run', 'A8', 'Z9');
  expect(run.code).toBe(2);
  expect(run.output).toMatch(/no failure is called Z9; known: A1, A7/);
});
