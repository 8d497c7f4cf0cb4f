import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sampleAction, sampleKey, sampleOrganization, sampleWorkspace } from '#contracts/tenancy-kit.fixture';
import { newKey } from '#storage';
import { openSnapshot, type SnapshotOptions, type TenantSnapshot } from './snapshot.ts';
import { createTenantDirectory, type TenantDirectory } from './tenant-directory.ts';

const pepper = Buffer.alloc(32, 3);
const made = newKey('api', pepper);
const tenants = [sampleOrganization(), sampleWorkspace(), sampleKey({ hash: made.hash })];
const at = (commit: number) => ({ origin: 'first', commit, hash: `hash ${commit}` });

let dataDirectory = '';
let events: string[] = [];
beforeEach(async () => {
  dataDirectory = await mkdtemp(path.join(tmpdir(), 'plimsoll-snapshot-'));
  events = [];
});
afterEach(() => rm(dataDirectory, { recursive: true }));

const file = (name = 'tenants.snapshot'): string => path.join(dataDirectory, name);

async function open(
  more: Partial<SnapshotOptions> = {},
): Promise<{ readonly directory: TenantDirectory; readonly snapshot: TenantSnapshot }> {
  const directory = createTenantDirectory({ pepper: more.pepper ?? pepper, wallMs: () => 2_000 });
  const onEvent = ({ message }: { readonly message: string }): void => void events.push(message);
  const snapshot = await openSnapshot({ dataDirectory, pepper, directory, wallMs: () => 2_000, onEvent, ...more });
  return { directory, snapshot };
}

/** A snapshot of the tenants at commit 3, and one change at commit 4, closed. */
async function write(): Promise<void> {
  const { directory, snapshot } = await open();
  directory.apply(tenants);
  snapshot.changed({ put: tenants, drop: [], position: at(3), hasMore: false });
  await snapshot.flush();
  const put = [sampleAction()];
  directory.apply(put);
  snapshot.changed({ put, drop: [], position: at(4), hasMore: false });
  await snapshot.flush();
  expect(snapshot.status()).toMatchObject({ commit: 4, failedBecause: null });
  await snapshot.close();
}

test('what was applied is there after a restart, with its place in the history of the store', async () => {
  await write();
  const { directory, snapshot } = await open();
  expect(snapshot.loaded).toEqual({ position: at(4), heardAtMs: 2_000, generation: 1, isTorn: false });
  expect(directory.find(made.presented)).toMatchObject({ id: 'key_one', standing: { rateFactor: 0.5 } });
  expect(events).toEqual([]);
  await snapshot.close();
});

test('nobody else may read it, and no key or pepper is in it', async () => {
  await write();
  expect((await stat(file())).mode & 0o077).toBe(0);
  const text = (await readFile(file())).toString('latin1');
  expect(text).toContain('key_one');
  for (const secret of [made.presented, made.presented.slice(-49), pepper.toString('latin1')]) expect(text).not.toContain(secret);
});

test('a change that is dropped stays dropped: a revoked key does not come back with a restart', async () => {
  await write();
  const { directory, snapshot } = await open();
  const put = [sampleKey({ hash: made.hash, revokedAtMs: 1 })];
  const drop = [{ kind: 'action' as const, id: 'act_one' }];
  directory.apply(put, drop);
  snapshot.changed({ put, drop, position: at(5), hasMore: false });
  await snapshot.flush();
  await snapshot.close();
  const again = await open();
  expect(again.directory.find(made.presented)).toBeNull();
  expect(again.directory.counts()).toMatchObject({ keys: 0, actions: 0, organizations: 1 });
  expect(again.snapshot.loaded?.position).toEqual(at(5));
  await again.snapshot.close();
});

test('no byte of it can be changed unnoticed, and what is before the change is used only where it is whole', async () => {
  await write();
  const whole = await readFile(file());
  const ends = { base: whole.indexOf('"base_end"'), change: whole.indexOf('"change"') };
  // Every 13th byte and all of the first frames' lengths; each opening rewrites nothing, because nothing is noted.
  for (let place = 0; place < whole.length; place += place < 60 ? 1 : 13) {
    const changed = Buffer.from(whole);
    changed[place] = (changed[place] ?? 0) ^ 0x20;
    await writeFile(file(), changed);
    const { directory, snapshot } = await open();
    if (place < ends.base) {
      expect(snapshot.loaded, `byte ${place}`).toBeNull();
      expect(directory.counts()).toMatchObject({ organizations: 0, keys: 0 });
      expect(events.at(-1)).toMatch(/is not used: /);
    } else if (place > ends.change) expect(snapshot.loaded, `byte ${place}`).toMatchObject({ position: at(3), isTorn: true });
    await snapshot.close();
  }
});

test('a file that is cut off anywhere is refused while its base is not whole, and else holds what came before', async () => {
  await write();
  const whole = await readFile(file());
  const baseEnd = whole.indexOf('"change"') - '{"kind":'.length - 4;
  for (let length = 0; length < whole.length; length += 17) {
    await writeFile(file(), whole.subarray(0, length));
    const { snapshot } = await open();
    if (length < baseEnd) expect(snapshot.loaded, `${length} bytes`).toBeNull();
    else expect(snapshot.loaded, `${length} bytes`).toMatchObject({ position: at(3), isTorn: length !== baseEnd });
    await snapshot.close();
  }
});

test('a file that cannot be used is passed over for the one that was kept before it, in words', async () => {
  await write();
  // The second opening begins a new file, and keeps the first.
  const { snapshot } = await open();
  snapshot.changed({ put: [], drop: [], position: at(6), hasMore: false });
  await snapshot.flush();
  await snapshot.close();
  expect((await readdir(dataDirectory)).toSorted()).toEqual(['tenants.snapshot', 'tenants.snapshot.previous']);
  await writeFile(file(), 'something else');
  const { directory, snapshot: found } = await open();
  expect(found.loaded?.position).toEqual(at(4));
  expect(directory.find(made.presented)).not.toBeNull();
  expect(events).toEqual([
    expect.stringContaining('it is no snapshot that this version knows'),
    expect.stringContaining('.previous is used instead, of commit 4'),
  ]);
  await found.close();
});

test('an older snapshot that is put in the place of a newer one is refused', async () => {
  await write();
  const old = await readFile(file());
  for (const commit of [5, 6]) {
    const { snapshot } = await open();
    snapshot.changed({ put: [], drop: [], position: at(commit), hasMore: false });
    await snapshot.flush();
    await snapshot.close();
  }
  await writeFile(file(), old);
  const { snapshot } = await open();
  expect(snapshot.loaded?.position).toEqual(at(5));
  expect(events[0]).toMatch(/generation 1, and the one before it of 2/);
  await snapshot.close();
});

test('under another pepper it is not used', async () => {
  await write();
  const { snapshot } = await open({ pepper: Buffer.alloc(32, 4) });
  expect(snapshot.loaded).toBeNull();
  expect(events).toEqual([expect.stringMatching(/another pepper/)]);
  await snapshot.close();
});

test('changes are appended until they outweigh what is below them, and then it is written anew', async () => {
  const { directory, snapshot } = await open({ changeBytesMin: 10_000 });
  directory.apply(tenants);
  snapshot.changed({ put: tenants, drop: [], position: at(1), hasMore: false });
  await snapshot.flush();
  const base = (await stat(file())).size;
  for (let commit = 2; commit < 60; commit++) {
    const put = [sampleKey({ hash: made.hash, name: `name ${commit}` })];
    directory.apply(put);
    snapshot.changed({ put, drop: [], position: at(commit), hasMore: false });
    await snapshot.flush();
    expect((await stat(file())).size).toBeLessThan(base + 12_000);
  }
  await snapshot.close();
  const again = await open();
  expect(again.snapshot.loaded?.position.commit).toBe(59);
  expect(again.snapshot.loaded?.generation).toBeGreaterThan(1);
  expect(again.directory.key('key_one')?.name).toBe('name 59');
  await again.snapshot.close();
});

test('what changes while it is written is in it, however many objects there are', async () => {
  const { directory, snapshot } = await open();
  const key = (n: number, name: string) =>
    sampleKey({ id: `key_${n}`, name, hash: { kind: 'hmac_sha256', hex: n.toString(16).padStart(64, '0') } });
  directory.apply([sampleOrganization(), sampleWorkspace(), ...Array.from({ length: 2_000 }, (_, n) => key(n, 'old'))]);
  snapshot.changed({ put: [], drop: [], position: at(1), hasMore: false });
  for (let n = 0; n < 40; n++) {
    const put = [key(n * 50, 'new'), key(3_000 + n, 'added')];
    const drop = [{ kind: 'key' as const, id: `key_${n * 50 + 1}` }];
    directory.apply(put, drop);
    snapshot.changed({ put, drop, position: at(2 + n), hasMore: false });
    await new Promise((resolve) => setImmediate(resolve));
  }
  await snapshot.close();
  const again = await open();
  expect(again.snapshot.loaded?.position).toEqual(at(41));
  expect(again.directory.counts().keys).toBe(2_000);
  for (let n = 0; n < 40; n++) {
    expect(again.directory.key(`key_${n * 50}`)?.name).toBe('new');
    expect(again.directory.key(`key_${n * 50 + 1}`)).toBeNull();
  }
  await again.snapshot.close();
});

test('a first read of the store is written when it is whole, and not before', async () => {
  const { directory, snapshot } = await open();
  directory.apply(tenants.slice(0, 2));
  snapshot.changed({ put: tenants.slice(0, 2), drop: [], position: at(1), hasMore: true });
  await snapshot.flush();
  expect(await readdir(dataDirectory)).toEqual([]);
  directory.apply(tenants.slice(2));
  snapshot.changed({ put: tenants.slice(2), drop: [], position: at(2), hasMore: false });
  await snapshot.close();
  expect((await open()).snapshot.loaded?.position).toEqual(at(2));
});

test('a disk that refuses is said once, and written to again later', async () => {
  const { directory, snapshot } = await open();
  directory.apply(tenants);
  await rm(dataDirectory, { recursive: true });
  const note = async (commit: number): Promise<void> => {
    snapshot.changed({ put: [], drop: [], position: at(commit), hasMore: false });
    await snapshot.flush();
  };
  for (let commit = 1; commit < 12; commit++) await note(commit);
  expect(snapshot.status().failedBecause).toMatch(/ENOENT/);
  expect(events).toHaveLength(1);
  const { mkdir } = await import('node:fs/promises');
  await mkdir(dataDirectory);
  for (let commit = 12; commit < 20; commit++) await note(commit);
  expect(snapshot.status().failedBecause).toBeNull();
  await snapshot.close();
  expect((await open()).snapshot.loaded?.position).toEqual(at(19));
});

// Six processes are started and killed, which takes seconds.
test('a process that is killed while it writes leaves a snapshot that can be used, and no older than it had said', async () => {
  let known = 0;
  for (let round = 0; round < 6; round++) {
    const child = spawn(process.execPath, [path.join(import.meta.dirname, 'snapshot-child.ts'), dataDirectory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    const closed = new Promise((resolve) => child.on('close', resolve));
    await new Promise<void>((resolve) =>
      child.stdout.on('data', (data) => {
        said += data;
        // Not at a moment that the child would choose.
        if (said.split('\n').length > 3 + round * 7) resolve();
      }),
    );
    child.kill('SIGKILL');
    await closed;
    const durable = Number(said.trim().split('\n').at(-1) ?? 0);
    const { directory, snapshot } = await open();
    expect(events.filter((message) => /is not used/.test(message))).toEqual([]);
    const commit = snapshot.loaded?.position.commit ?? 0;
    expect(commit).toBeGreaterThanOrEqual(durable);
    expect(commit).toBeGreaterThan(known);
    // Commit n names the key so: nothing is mixed.
    expect(directory.key('key_0')?.name).toBe(`name ${commit}`);
    expect(directory.counts().keys).toBe(400);
    known = commit;
    await snapshot.close();
  }
});
