import { expect, test } from 'vitest';
import type { Clock } from '#contracts/clock';
import { createScheduler, type JobProgress } from '#core/simulation';
import { createVirtualClock } from '#runtime';
import { PROFILES } from './profiles.ts';
import { createStepLoop } from './step-loop.ts';

/** Ten milliseconds a token, whatever the load. */
const EVEN = {
  ...PROFILES.small.profile,
  prefillBaseUs: 10_000,
  prefillTokenNs: 0,
  decodeBaseUs: 10_000,
  decodeSequenceNs: 0,
  decodeContextTokenNs: 0,
};

function setUp(late: (delayMs: number) => number) {
  const clock = createVirtualClock();
  const lateClock: Clock = { ...clock, after: (delayMs, task) => clock.after(late(delayMs), task) };
  const scheduler = createScheduler(EVEN);
  const tokens: { atMs: number; count: number }[] = [];
  const onProgress = (progress: readonly JobProgress[]): void => {
    for (const { outputTokens } of progress) tokens.push({ atMs: clock.nowUs() / 1000, count: outputTokens });
  };
  const loop = createStepLoop(lateClock, scheduler, onProgress);
  const add = (outputTokens: number): void => {
    scheduler.add({ id: 1, promptTokens: 8, outputTokens, blockKey: (index) => `${index}` });
    loop.wake();
  };
  return { clock, loop, tokens, add };
}

test('timers that fire late do not slow the engine: what was due by then comes together', async () => {
  const { clock, tokens, add } = setUp((delayMs) => Math.ceil(delayMs / 45) * 45);
  add(90);
  await clock.advance(10_000);
  expect(tokens.length).toBe(90);
  expect(tokens.at(-1)?.atMs).toBeLessThanOrEqual(945);
  expect(tokens.filter(({ atMs }) => atMs === 45).length).toBe(4);
});

test('after a long pause of the machine the engine goes on from where it was, without racing to catch up', async () => {
  let isPaused = true;
  const { clock, tokens, add } = setUp((delayMs) => (isPaused ? 3_600_000 : delayMs));
  add(5000);
  isPaused = false;
  await clock.advance(3_600_000);
  expect(tokens.length).toBe(65);
  await clock.advance(100);
  expect(tokens.length).toBe(75);
});

test('a closed loop does nothing more', async () => {
  const { clock, loop, tokens, add } = setUp((delayMs) => delayMs);
  add(100);
  await clock.advance(55);
  loop.close();
  loop.wake();
  await clock.advance(1000);
  expect([tokens.length, clock.pending()]).toEqual([5, 0]);
});
