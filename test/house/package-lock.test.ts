import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';

const ROOT = path.join(import.meta.dirname, '..', '..');
const text = readFileSync(path.join(ROOT, 'package-lock.json'), 'utf8');
const { packages } = z
  .object({ packages: z.record(z.string(), z.looseObject({ hasInstallScript: z.boolean().optional() })) })
  .parse(JSON.parse(text));

test('the lock names every optional build that a package asks for, so npm ci takes it whatever the registry carries', () => {
  expect(() =>
    execFileSync('node', ['scripts/complete-lock.mjs', '--check'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'pipe'] }),
  ).not.toThrow();
});

test('the lock and npm settings hold no registry address', () => {
  expect(text).not.toMatch(/"resolved": "[a-z+]+:\/\//);
  expect(readFileSync(path.join(ROOT, '.npmrc'), 'utf8')).not.toMatch(/\/\/|registry ?=/);
});

test('npm runs no package’s own scripts, and only the embedded engine has one', () => {
  expect(readFileSync(path.join(ROOT, '.npmrc'), 'utf8')).toContain('ignore-scripts=true');
  // The embedded engine's would build it from source; it works without, on the binaries that come beside it.
  const withScripts = Object.keys(packages).filter((at) => packages[at]?.hasInstallScript === true);
  expect(withScripts.map((at) => at.replace(/^.*node_modules\//, '')).toSorted()).toEqual(['node-llama-cpp']);
});
