import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { registerModel } from './model.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'plimsoll-models-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

async function run(...args: readonly string[]): Promise<{ readonly printed: string; readonly exitCode: number }> {
  const print = vi.spyOn(console, 'log').mockReturnValue(undefined).mockClear();
  const program = new Command('plimsoll');
  registerModel(program);
  await program.parseAsync(['model', ...args], { from: 'user' });
  const exitCode = Number(process.exitCode ?? 0);
  process.exitCode = 0;
  return { printed: print.mock.calls.flat().join('\n'), exitCode };
}

test('the list shows what is here, and the command for what is not', async () => {
  writeFileSync(path.join(folder, 'mine.gguf'), 'GGUF');
  const { printed } = await run('list', '--to', folder);
  expect(printed).toMatch(/^mine +0\.0 MB/m);
  expect(printed).toMatch(/^smollm2 +not here .*plimsoll model pull smollm2$/m);
  expect(JSON.parse((await run('list', '--to', folder, '--json')).printed)).toEqual([
    { name: 'mine', path: path.join(folder, 'mine.gguf'), bytes: 4, description: '' },
    { name: 'smollm2', path: path.join(folder, 'smollm2.gguf'), bytes: null, description: expect.stringContaining('SmolLM2') },
  ]);
});

test.each([
  [['pull', 'nope'], 'neither a model known by name (smollm2) nor'],
  [['pull', 'ftp://example.com/a.gguf'], 'neither a model known by name'],
  [['pull', 'smollm2', '--sha256', 'abc'], '--sha256 takes 64 hexadecimal digits'],
])('%j is refused in words, with exit code 1', async (args, message) => {
  const { printed, exitCode } = await run(...args, '--to', folder, '--json');
  expect(JSON.parse(printed).error).toContain(message);
  expect(exitCode).toBe(1);
});
