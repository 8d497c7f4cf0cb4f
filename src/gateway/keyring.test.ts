import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openKeyring } from './keyring.ts';

function makeDirectory(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'plimsoll-keyring-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return path.join(directory, 'data');
}

function open(directory: string) {
  const opened = openKeyring(directory);
  const keys = JSON.parse(readFileSync(opened.firstKeysPath, 'utf8')) as { api_key: string; admin_key: string };
  return { ...opened, keys };
}

test('the first boot makes an API key and an admin key, each good for its own work, and later boots know them', () => {
  const directory = makeDirectory();
  const { isNew, keys } = open(directory);
  expect(isNew).toBe(true);
  expect(keys.api_key).not.toBe(keys.admin_key);
  const again = open(directory);
  expect(again.isNew).toBe(false);
  expect(again.keys).toEqual(keys);
  expect(again.keyring.find(keys.api_key)).toMatchObject({ role: 'api', organization: 'org_first' });
  expect(again.keyring.find(keys.admin_key)).toMatchObject({ role: 'admin' });
});

test('what is not a key of ours is nobody, also when it was asked before or comes close', () => {
  const { keyring, keys } = open(makeDirectory());
  for (const guess of [
    '',
    ' ',
    keys.api_key.slice(0, -1),
    `${keys.api_key} `,
    keys.api_key.toUpperCase(),
    'x'.repeat(100_000),
    '__proto__',
    'constructor',
  ]) {
    expect(keyring.find(guess)).toBeNull();
    expect(keyring.find(guess)).toBeNull();
  }
  expect(keyring.find(keys.api_key)).not.toBeNull();
});

test('keys of one data directory are strangers in another', () => {
  expect(open(makeDirectory()).keyring.find(open(makeDirectory()).keys.api_key)).toBeNull();
});

test('no file but the one that the operator may delete holds a key, and nobody else may read any', () => {
  const directory = makeDirectory();
  const { keys } = open(directory);
  for (const name of readdirSync(directory)) {
    const file = path.join(directory, name);
    expect(statSync(file).mode & 0o077, name).toBe(0);
    if (name === 'first-keys.json') continue;
    const text = readFileSync(file).toString('latin1');
    expect(text).not.toContain(keys.api_key);
    expect(text).not.toContain(keys.admin_key);
  }
});

test('a first boot that was cut short begins anew; a file that is not a keyring stops the process', () => {
  const directory = makeDirectory();
  open(directory);
  rmSync(path.join(directory, 'keys.json'));
  const { isNew, keyring, keys } = open(directory);
  expect(isNew).toBe(true);
  expect(keyring.find(keys.api_key)).not.toBeNull();
  writeFileSync(path.join(directory, 'keys.json'), '{"version":2,"keys":[]}');
  expect(() => openKeyring(directory)).toThrow();
});
