import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createEndUserIds } from './end-user-id.ts';
import { deriveKey, openPepper, pepperCheck, PepperProblem, type PepperPlace } from './pepper.ts';

let dataDirectory = '';
beforeEach(async () => {
  dataDirectory = await mkdtemp(path.join(tmpdir(), 'plimsoll-pepper-'));
});
afterEach(() => rm(dataDirectory, { recursive: true }));

const open = (more: Partial<PepperPlace> = {}): Promise<Buffer> =>
  openPepper({ reference: undefined, dataDirectory, isShared: false, environment: {}, ...more });

test('an embedded store has its pepper made once, for its owner alone', async () => {
  const pepper = await open();
  expect(pepper).toHaveLength(32);
  expect(await open()).toEqual(pepper);
  expect(await readdir(dataDirectory)).toEqual(['pepper']);
  expect((await stat(path.join(dataDirectory, 'pepper'))).mode & 0o077).toBe(0);
});

test('a shared store needs a pepper that is given, and the refusal says how', async () => {
  await expect(open({ isShared: true })).rejects.toThrow(PepperProblem);
  await expect(open({ isShared: true })).rejects.toThrow(/keys\.pepper: env:NAME or file:/);
  expect(await readdir(dataDirectory)).toEqual([]);
});

test.each(['keys.json', 'tenants.snapshot'])(
  'a lost pepper is not made anew where %s shows that there were keys',
  async (name) => {
    await writeFile(path.join(dataDirectory, name), '');
    await expect(open()).rejects.toThrow(/put the pepper back/);
  },
);

test('a pepper is read from the environment or a file; a line feed at the end of a text is not part of it', async () => {
  const text = 'sixteen bytes or more';
  const file = path.join(dataDirectory, 'secret');
  expect((await open({ reference: 'env:PEPPER', environment: { PEPPER: text } })).toString()).toBe(text);
  for (const end of ['', '\n', '\r\n']) {
    await writeFile(file, text + end);
    expect((await open({ reference: `file:${file}` })).toString()).toBe(text);
  }
  // Raw bytes are taken as they are, also when the last happens to be a line feed.
  const raw = Buffer.concat([randomBytes(31), Buffer.from('\n')]);
  await writeFile(file, raw);
  expect(await open({ reference: `file:${file}` })).toEqual(raw);
});

test('a pepper that is missing, short or unreadable is refused without being shown', async () => {
  await writeFile(path.join(dataDirectory, 'short'), 'abc\n');
  const short = await open({ reference: `file:${path.join(dataDirectory, 'short')}` }).catch(String);
  expect(short).toMatch(/has 3 bytes/);
  expect(short).not.toContain('abc');
  await expect(open({ reference: 'env:NOT_SET' })).rejects.toThrow(/env:NOT_SET has 0 bytes/);
  await expect(open({ reference: 'file:/none' })).rejects.toThrow(/ENOENT/);
  expect(await readFile(path.join(dataDirectory, 'short'), 'utf8')).toBe('abc\n');
});

test('keys for other purposes, and what tells peppers apart, tell nothing of the pepper and differ from each other', () => {
  const pepper = Buffer.alloc(32, 1);
  const all = [deriveKey(pepper, 'a'), deriveKey(pepper, 'b'), deriveKey(Buffer.alloc(32, 2), 'a')].map((key) =>
    key.toString('hex'),
  );
  expect(new Set([...all, pepper.toString('hex')]).size).toBe(4);
  expect(pepperCheck(pepper)).toMatch(/^[0-9a-f]{16}$/);
  expect(pepperCheck(pepper)).not.toBe(pepperCheck(Buffer.alloc(32, 2)));
});

test('an end user has one id in an organization, another in every other, and its name is not in it', () => {
  const idOf = createEndUserIds(Buffer.alloc(32, 1));
  expect(idOf('org_a', 'ada@example.com')).toBe(idOf('org_a', 'ada@example.com'));
  const others = [
    idOf('org_a', 'ada@example.com'),
    idOf('org_b', 'ada@example.com'),
    idOf('org_a', 'bob'),
    createEndUserIds(Buffer.alloc(32, 2))('org_a', 'bob'),
  ];
  expect(new Set(others).size).toBe(4);
  for (const id of others) expect(id).toMatch(/^eu_[0-9a-f]{24}$/);
});
