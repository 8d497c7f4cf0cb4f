import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DirectoryInUse, lockDirectory } from './lock-directory.ts';

let directory = '';
const lockFile = (): string => path.join(directory, 'plimsoll.lock');
const holder = async (): Promise<Record<string, unknown>> => JSON.parse(await readFile(lockFile(), 'utf8'));

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'plimsoll-lock-'));
});
afterEach(() => rm(directory, { recursive: true }));

/** Leaves a lock as another process would have, changed by `change`. */
async function leaveLock(change: Record<string, unknown>): Promise<void> {
  await lockDirectory(directory);
  await writeFile(lockFile(), JSON.stringify({ ...(await holder()), nonce: 'another', ...change }));
}

test('a second taker is refused with the pid of the first, and succeeds after its release', async () => {
  const first = await lockDirectory(directory);
  await expect(lockDirectory(directory)).rejects.toThrow(DirectoryInUse);
  await expect(lockDirectory(directory)).rejects.toThrow(new RegExp(`process ${process.pid}\\b`));
  await first.release();
  await (await lockDirectory(directory)).release();
});

test('another process is refused while this one holds the directory', async () => {
  const lock = await lockDirectory(directory);
  const script = `import { lockDirectory } from ${JSON.stringify(new URL('./lock-directory.ts', import.meta.url).href)};
    await lockDirectory(process.argv[1]).then(() => console.log('taken'), (error) => console.log(error.message));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  for await (const data of child.stdout) output += data;
  expect(output).toContain(`in use by process ${process.pid}`);
  await lock.release();
});

test('the lock of a process that is gone is taken over', async () => {
  const child = spawn(process.execPath, ['-e', '']);
  await new Promise((resolve) => child.on('close', resolve));
  await leaveLock({ pid: child.pid, startedTicks: '1' });
  await (await lockDirectory(directory)).release();
});

test('a pid that was given to another process since does not hold the lock', async () => {
  await leaveLock({ startedTicks: '1' });
  await (await lockDirectory(directory)).release();
});

test('a lock from before the machine was started anew is taken over', async () => {
  await leaveLock({ boot: 'an earlier boot' });
  await (await lockDirectory(directory)).release();
});

test('a holder in another container is believed while its heartbeat is young, and not for ever', async () => {
  await leaveLock({ pidNamespace: 'pid:[1]', host: 'other' });
  await expect(lockDirectory(directory)).rejects.toThrow(/on other .*last seen 0 s ago/);
  const longAgo = new Date(Date.now() - 31_000);
  await utimes(lockFile(), longAgo, longAgo);
  await (await lockDirectory(directory)).release();
});

test('of many that find a dead lock at once, one takes it', async () => {
  for (let round = 0; round < 20; round++) {
    await leaveLock({ startedTicks: '1' });
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => lockDirectory(directory)));
    const taken = results.filter((result) => result.status === 'fulfilled');
    expect(taken).toHaveLength(1);
    await taken[0]?.value.release();
    expect(await readdir(directory)).toEqual([]);
  }
});

test('a takeover that its process did not live to end is named, not guessed at', async () => {
  await leaveLock({ startedTicks: '1' });
  await writeFile(`${lockFile()}.another.takeover`, '');
  await expect(lockDirectory(directory)).rejects.toThrow(/remove plimsoll\.lock/);
});

test('a lock file that is no lock of ours is left alone and named', async () => {
  await writeFile(lockFile(), 'something else');
  await expect(lockDirectory(directory)).rejects.toThrow(/is not a lock that Plimsoll wrote/);
});
