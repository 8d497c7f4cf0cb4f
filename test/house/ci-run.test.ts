import { execFile } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { plantHouse } from './planted-house.ts';

const ROOT = path.join(import.meta.dirname, '..', '..');
const good = { test: 'echo "3 passed, 0 failed, 1 skipped"', check: 'echo "4 passed, 0 failed, 0 skipped"' };

describe('.ci/run closes with one line over all steps', () => {
  test.each([
    { name: 'all is well', steps: good, line: '9 passed, 0 failed, 1 skipped', code: 0 },
    {
      name: 'a test failed',
      steps: { ...good, test: 'echo "2 passed, 1 failed, 1 skipped"; exit 1' },
      line: '8 passed, 1 failed, 1 skipped',
      code: 1,
    },
    {
      name: 'a step prints bytes that are no text',
      steps: { ...good, test: `printf '\\000\\377\\n'; ${good.test}` },
      line: '9 passed, 0 failed, 1 skipped',
      code: 0,
    },
    {
      name: 'a step failed without saying what',
      steps: { ...good, check: 'exit 1' },
      line: '5 passed, 1 failed, 1 skipped',
      code: 1,
    },
    {
      name: 'the tests said that all passed, and then ended badly',
      steps: { ...good, test: `${good.test}; exit 1` },
      line: '9 passed, 1 failed, 1 skipped',
      code: 1,
    },
    {
      name: 'no test ran',
      steps: { ...good, test: 'echo "0 passed, 0 failed, 0 skipped"' },
      line: '6 passed, 1 failed, 0 skipped',
      code: 1,
    },
  ])('when $name', async ({ steps, line, code }) => {
    const { output, status } = await runCi({ ...steps, package: 'echo "2 passed, 0 failed, 0 skipped"' });
    expect({ line: output.trimEnd().split('\n').at(-1), status }).toEqual({ line, status: code });
  });
});

test('the closing line counts broken hooks, files that do not load and errors outside any test', async () => {
  const test1 = (body: string): string => `import { afterAll, beforeAll, expect, test } from 'vitest';\n${body}\n`;
  const house = plantHouse({
    'test/plain.test.ts': test1(
      "test('a', () => expect(1).toBe(1)); test.skip('b', () => {}); test('c', () => expect(1).toBe(2));",
    ),
    'test/hook.test.ts': test1("afterAll(() => { throw new Error('late'); }); test('a', () => expect(1).toBe(1));"),
    'test/broken.test.ts': test1("import './nowhere.ts';"),
    'test/outside.test.ts': test1(
      "test('a', async () => { void Promise.reject(new Error('unheard')); await new Promise(setImmediate); });",
    ),
  });
  try {
    const { output, code } = await house.run('vitest', 'run', '--reporter=./scripts/closing-line.mjs');
    expect(output).toMatch(/^3 passed, 4 failed, 1 skipped$/m);
    expect(code).not.toBe(0);
  } finally {
    house.remove();
  }
});

/** Runs .ci/run where `npm` is a script of ours, and the set-up of servers only runs what it is given. */
async function runCi(steps: Readonly<Record<'test' | 'check' | 'package', string>>) {
  const root = mkdtempSync(path.join(tmpdir(), 'plimsoll-ci-'));
  try {
    for (const folder of ['.ci', 'bin', 'scripts']) mkdirSync(path.join(root, folder));
    cpSync(path.join(ROOT, '.ci/run'), path.join(root, '.ci/run'));
    for (const name of ['with-postgres.sh', 'with-redis.sh']) script(path.join(root, 'scripts', name), 'exec "$@"');
    for (const name of ['initdb', 'redis-server']) script(path.join(root, 'bin', name), 'exit 1');
    const cases = `test) ${steps.test};; "run --silent check") ${steps.check};; "run --silent pack:check") ${steps.package};;`;
    script(path.join(root, 'bin/npm'), `case "$*" in ${cases} *) exit 99;; esac`);
    const env = { ...process.env, PATH: `${path.join(root, 'bin')}:${process.env.PATH ?? ''}` };
    return await new Promise<{ readonly output: string; readonly status: number }>((resolve) => {
      execFile(path.join(root, '.ci/run'), { cwd: root, env }, (error, output) =>
        resolve({ output, status: error === null ? 0 : Number(error.code) }),
      );
    });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function script(file: string, body: string): void {
  writeFileSync(file, `#!/bin/sh\n${body}\n`);
  chmodSync(file, 0o755);
}
