import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createSystemRandom } from '#runtime';
import { gatewayId } from './gateway-id.ts';

test('a gateway keeps its name in its data directory, and gets a new one only where none can be read', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'plimsoll-id-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const random = createSystemRandom();
  const id = gatewayId(directory, random);
  expect(id).toMatch(/^[0-9a-f]{32}$/);
  expect(gatewayId(directory, random)).toBe(id);
  writeFileSync(path.join(directory, 'gateway-id'), id.slice(0, 7));
  const next = gatewayId(directory, random);
  expect(next).not.toBe(id);
  expect(gatewayId(directory, random)).toBe(next);
});
