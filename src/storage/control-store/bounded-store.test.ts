import { createServer, type Server } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { Clock } from '#contracts/clock';
import { readKey } from '#core/tenancy';
import type { GatewaySeen } from '../control-port.ts';
import { StoreAway } from '../control-port.ts';
import { awaitAcknowledged } from './await-acknowledged.ts';
import { createBoundedStore, runControlCall, type ControlCall } from './bounded-store.ts';
import { digestKey, hashKey, newKey } from './key-hash.ts';
import { connectControlStore } from './open-control-store.ts';
import { asStoreAway } from './store-away.ts';

/** Real timers at a thousandth of their length. */
const clock: Clock = {
  nowUs: () => Math.round(performance.now() * 1_000_000),
  wallMs: () => Date.now(),
  after(delayMs, task) {
    const timer = setTimeout(task, delayMs / 1_000);
    return { cancel: () => clearTimeout(timer) };
  },
};
const never = (): Promise<never> => new Promise(() => undefined);

test('a call that gets no answer ends in its time, and calls that hang cannot pile up without bound', async () => {
  let asked = 0;
  const store = createBoundedStore({
    ask: () => (asked++, never()),
    close: () => Promise.resolve(),
    clock,
    timeoutMs: 5_000,
  });
  const answers = await Promise.allSettled(Array.from({ length: 100 }, () => store.gateways(1)));
  expect(asked).toBe(64);
  for (const answer of answers) expect(answer.status === 'rejected' && answer.reason instanceof StoreAway).toBe(true);
  await expect(store.audit({ organization: null, after: 0, max: 1 })).rejects.toThrow('64 calls wait');
  await store.close();
  await expect(store.persist()).rejects.toThrow('closed');
});

test('every method of the port arrives at the store as it was called', async () => {
  const calls: ControlCall[] = [];
  const store = createBoundedStore({
    ask: (call) => (calls.push(call), Promise.resolve({ kind: 'committed', commit: 7 })),
    close: () => Promise.resolve(),
    clock,
    timeoutMs: 5_000,
  });
  let woken = 0;
  const stop = await store.watch(() => woken++);
  const audit = { atMs: 1, actor: 'system', act: 'a', organization: null, subject: 's', details: {} };
  const ask = async (): Promise<void> => {
    await store.commit({ put: [], audit });
    await store.get('key', 'key_a');
    await store.list({ kind: 'key', organization: null, after: null, max: 1 });
    await store.changesAfter(1, ['key'], 2);
    await store.audit({ organization: null, after: 0, max: 1 });
    await store.verifyAudit();
    await store.heartbeat({ id: 'g', name: 'n', commit: 1 });
    await store.depart('g');
    await store.gateways(1);
    await store.persist();
  };
  await ask();
  expect(woken).toBe(1);
  await stop();
  // What was asked of the one, carried out on the other, is asked again.
  const first = calls.splice(0);
  for (const call of first) await runControlCall(store, call);
  expect(calls).toEqual(first);
  expect(woken).toBe(1);
});

test('a server that is not there, or that never answers, is a store that is away, without its password', async () => {
  const silent: Server = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void silent.close());
  const address = silent.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  for (const where of ['127.0.0.1:1', `127.0.0.1:${port}`]) {
    const store = connectControlStore({ kind: 'postgres', url: `postgres://someone:secret@${where}/none` }, { clock });
    const failure: unknown = await store.gateways(1).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(StoreAway);
    expect(String(failure)).not.toContain('secret');
    await store.close();
  }
});

test('what says that the question was wrong is not taken for a store that is away', () => {
  const failure = (code: string): Error => Object.assign(new Error('x'), { code });
  for (const code of ['23505', '42601', '22P05']) expect(asStoreAway(failure(code))).not.toBeInstanceOf(StoreAway);
  for (const code of ['ECONNREFUSED', '57P01', '57P03', '08006', '25006', '28P01', '53300'])
    expect(asStoreAway(failure(code))).toBeInstanceOf(StoreAway);
  expect(asStoreAway(new AggregateError([new Error('one refused')]))).toMatchObject({
    message: expect.stringContaining('one refused'),
  });
});

test('a new key reads as ours, is recognised by its digest under its pepper alone, and leaves only a hint', () => {
  const pepper = Buffer.alloc(32, 1);
  const { presented, hash, hint } = newKey('admin', pepper);
  expect(readKey(presented)).toEqual({ kind: 'ours', use: 'admin', isChecked: true });
  expect(hash).toEqual({ kind: 'hmac_sha256', hex: digestKey(presented, 'hmac_sha256', pepper).toString('hex') });
  expect(hashKey(presented, Buffer.alloc(32, 2))).not.toEqual(hash);
  // What another gateway stored: SHA-256 alone, whatever our pepper.
  expect(digestKey('sk-1234', 'sha256', pepper).toString('hex')).toBe(
    '88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b',
  );
  expect(presented.endsWith(hint) && hint.length <= 6).toBe(true);
});

test('a commit is awaited until every gateway has applied it, or named as missing when the time is over', async () => {
  const seen: GatewaySeen[] = [
    { id: 'a', name: 'a', commit: 9, seenMsAgo: 1 },
    { id: 'b', name: 'b', commit: 4, seenMsAgo: 40_000 },
  ];
  const store = { gateways: () => Promise.resolve([...seen]) };
  const late = await awaitAcknowledged({ store, clock, commit: 5, withinMs: 200 });
  expect(late).toMatchObject({ acknowledged: [{ id: 'a' }], missing: [{ id: 'b', seenMsAgo: 40_000 }] });
  const waiting = awaitAcknowledged({ store, clock, commit: 5, withinMs: 60_000 });
  seen[1] = { id: 'b', name: 'b', commit: 5, seenMsAgo: 1 };
  expect(await waiting).toMatchObject({ acknowledged: [{ id: 'a' }, { id: 'b' }], missing: [] });
});
