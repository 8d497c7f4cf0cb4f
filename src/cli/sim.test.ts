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
  folder = await mkdtemp(path.join(tmpdir(), 'plimsoll-sim-'));
  await writeFile(
    path.join(folder, 'main.ts'),
    `import { Command } from ${JSON.stringify(import.meta.resolve('commander'))};
import { registerSim } from ${JSON.stringify(new URL('sim.ts', import.meta.url).href)};
const program = new Command('plimsoll');
registerSim(program);
await program.parseAsync();
`,
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function run(args: readonly string[]) {
  const child = spawn(process.execPath, [path.join(folder, 'main.ts'), 'sim', ...args], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (output += data.toString()));
  return { child, output: () => output, exit: once(child, 'close') as Promise<[number | null]> };
}

async function firstLine(process: ReturnType<typeof run>): Promise<string> {
  while (!process.output().includes('\n')) await Promise.race([once(process.child.stdout, 'data'), process.exit]);
  return process.output().split('\n')[0] ?? '';
}

test('plimsoll sim engine says where it listens as JSON, serves its script, and ends on a signal', async () => {
  const script = path.join(folder, 'script.json');
  await writeFile(
    script,
    JSON.stringify({ rules: [{ when: { contains: 'busy' }, do: { kind: 'http_error', status: 529, retry_after_s: 4 } }] }),
  );
  const engine = run(['engine', '--port', '0', '--model', 'org/harbor-70b', '--script', script, '--json']);
  const said = JSON.parse(await firstLine(engine)) as { url: string; port: number };
  expect(said).toMatchObject({
    dialect: 'anthropic',
    profile: 'small',
    models: ['org/harbor-70b'],
    url: `http://127.0.0.1:${said.port}`,
  });
  const models = (await (await fetch(`${said.url}/v1/models`)).json()) as { data: { id: string }[] };
  expect(models.data[0]?.id).toBe('org/harbor-70b');
  const body = JSON.stringify({ model: 'm', max_tokens: 4, messages: [{ role: 'user', content: 'busy?' }] });
  const response = await fetch(`${said.url}/v1/messages`, { method: 'POST', body });
  expect([response.status, response.headers.get('retry-after')]).toEqual([529, '4']);
  engine.child.kill('SIGTERM');
  expect((await engine.exit)[0]).toBe(0);
});

test('a script that is none, a port that is none and an unknown profile are said clearly, with an exit code', async () => {
  const script = path.join(folder, 'wrong.json');
  await writeFile(script, JSON.stringify({ rules: [{ do: { kind: 'dance' } }] }));
  const wrong = run(['engine', '--port', '0', '--script', script]);
  expect((await wrong.exit)[0]).toBe(2);
  expect(wrong.output()).toMatch(/is not a script:[\s\S]*rules\[0\]\.do/);
  const port = run(['engine', '--port', 'x']);
  expect((await port.exit)[0]).toBe(1);
  expect(port.output()).toContain('whole number from 0 to 65535');
  const profile = run(['engine', '--profile', 'x']);
  expect((await profile.exit)[0]).toBe(1);
  expect(profile.output()).toContain('llama2-70b-a100');
});

test('plimsoll sim profiles names the source of each and how far it is off', async () => {
  const profiles = run(['profiles']);
  expect((await profiles.exit)[0]).toBe(0);
  expect(profiles.output()).toContain('small: Invented for demonstrations, not measured');
  expect(profiles.output()).toContain('splitwise-sim');
  expect(profiles.output()).toMatch(/decodeStepTime off by \d+\.\d %/);
});
