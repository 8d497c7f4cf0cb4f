import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';

const ROOT = path.join(import.meta.dirname, '..', '..');
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');
const Versions = z.record(z.string(), z.string());
const manifest = z
  .object({ dependencies: Versions, devDependencies: Versions, optionalDependencies: Versions })
  .parse(JSON.parse(read('package.json')));
const all = { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies };

test('every dependency has its line of reason in DEPENDENCIES.md, and every line a dependency', () => {
  const rows = [...read('DEPENDENCIES.md').matchAll(/^\| `([^`]+)` \|(.*)\|$/gm)];
  expect(rows.map(([, name = '']) => name).toSorted()).toEqual(Object.keys(all).toSorted());
  for (const [, , cells = ''] of rows) expect(cells.split(' | ').every((cell) => cell.trim() !== '')).toBe(true);
});

test('dependencies are at exact versions', () => {
  for (const version of Object.values(all)) expect(version).toMatch(/^(npm:@?[\w/-]+@)?\d+\.\d+\.\d+$/);
});
