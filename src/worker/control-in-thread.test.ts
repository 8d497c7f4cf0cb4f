import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { sampleOrganization } from '#contracts/tenancy-kit.fixture';
import { createSystemClock, createSystemRandom } from '#runtime';
import { createJournal, openControlStore, StoreAway, type ControlChange, type OpenJournal } from '#storage';
import { startUsageFlow, type UsageFlow } from './usage-flow.ts';

const clock = createSystemClock();
let root = '';
let journal: OpenJournal;

beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'plimsoll-thread-'));
  const directory = path.join(root, 'journal');
  journal = await createJournal({ directory, clock, random: createSystemRandom(), onEvent: () => undefined });
});
afterAll(async () => {
  await journal.close();
  await rm(root, { recursive: true });
});

const start = (directory: string): Promise<UsageFlow> =>
  startUsageFlow({
    journal,
    place: { kind: 'embedded', directory: path.join(root, directory) },
    clock,
    onEvent: () => undefined,
    intervalMs: 20,
  });

function change(name: string, expectVersion: number): ControlChange {
  return {
    put: [{ object: sampleOrganization({ name }), expectVersion }],
    audit: { atMs: 1, actor: 'system', act: 'test', organization: 'org_one', subject: 'org_one', details: {} },
  };
}

// The embedded engine is started twice, and each start takes seconds.
test('the embedded control store lives in the thread of the usage flow, and what it has answered survives it', async () => {
  const flow = await start('store');
  const { control } = flow;
  let woken = 0;
  await control.watch(() => woken++);
  expect(await control.commit(change('first', 0))).toEqual({ kind: 'committed', commit: 1 });
  expect(woken).toBe(1);
  expect(await control.commit(change('again', 0))).toEqual({ kind: 'conflict', id: 'org_one' });
  // Many at once: their number is right, whoever shares whose sync.
  const answers = await Promise.all(Array.from({ length: 8 }, () => control.commit({ ...change('', 0), put: [] })));
  expect(answers.map((answer) => (answer.kind === 'committed' ? answer.commit : 0))).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
  await control.heartbeat({ id: 'g', name: 'n', commit: 9 });
  expect(await control.gateways(60_000)).toMatchObject([{ id: 'g', commit: 9 }]);
  expect(await control.changesAfter(0, ['organization'], 10)).toMatchObject({
    objects: [{ object: { name: 'first' } }],
    throughCommit: 9,
  });
  // A mistake of the caller's is not an absence of the store.
  const bad: unknown = await control.commit(change('x'.repeat(300), 1)).catch((error: unknown) => error);
  expect(bad).toBeInstanceOf(Error);
  expect(bad).not.toBeInstanceOf(StoreAway);
  expect(await flow.usage({ organization: null, fromMs: 0, toMs: 1, groupBy: [] })).toMatchObject({ ok: true });
  await flow.close();
  await expect(control.get('organization', 'org_one')).rejects.toThrow(StoreAway);

  const offline = await openControlStore({ kind: 'embedded', directory: path.join(root, 'store') });
  expect(await offline.get('organization', 'org_one')).toMatchObject({ version: 1, object: { name: 'first' } });
  expect(await offline.verifyAudit()).toEqual({ entries: 9, brokenAt: null });
  await offline.close();
});

// As above.
test('a thread that cannot live leaves a store that is away, and one that answers when another thread can', async () => {
  const directory = path.join(root, 'blocked');
  await mkdir(directory);
  // Where the engine wants its folder stands a file.
  await writeFile(path.join(directory, 'pg'), '');
  const flow = await start('blocked');
  await expect(flow.control.get('organization', 'org_one')).rejects.toThrow(StoreAway);
  await vi.waitUntil(() => flow.status().restarts > 0, 10_000);
  await expect(flow.control.gateways(1)).rejects.toThrow(StoreAway);
  await rm(path.join(directory, 'pg'));
  await vi.waitUntil(() => flow.status().kind === 'ready', 20_000);
  expect(await flow.control.gateways(1)).toEqual([]);
  await flow.close();
});
