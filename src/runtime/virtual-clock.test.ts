import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createVirtualClock } from './virtual-clock.ts';

test('timers run in order of their time, and in the order asked for when they tie', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 12 }), async (delays) => {
      const clock = createVirtualClock();
      const ran: { delay: number; index: number }[] = [];
      for (const [index, delay] of delays.entries())
        clock.after(delay, () => {
          expect(clock.nowUs()).toBe(delay * 1000);
          ran.push({ delay, index });
        });
      await clock.advance(20);
      expect(ran).toEqual(
        delays.map((delay, index) => ({ delay, index })).toSorted((a, b) => a.delay - b.delay || a.index - b.index),
      );
      expect(clock.pending()).toBe(0);
    }),
    { numRuns: 30 },
  );
});

test('what a timer schedules, even through a promise, runs inside the same span', async () => {
  const clock = createVirtualClock();
  const seen: number[] = [];
  const wait = (ms: number) => new Promise<void>((resolve) => clock.after(ms, resolve));
  const loop = (async () => {
    for (let turn = 0; turn < 4; turn += 1) {
      await wait(2.5);
      seen.push(clock.nowUs());
    }
  })();
  await clock.advance(8);
  expect(seen).toEqual([2500, 5000, 7500]);
  expect(clock.nowUs()).toBe(8000);
  await clock.advance(2);
  await loop;
  expect(seen.at(-1)).toBe(10_000);
});

test('a cancelled timer never runs and is no longer pending', async () => {
  const clock = createVirtualClock();
  let ran = 0;
  const timer = clock.after(1, () => (ran += 1));
  timer.cancel();
  timer.cancel();
  expect(clock.pending()).toBe(0);
  await clock.advance(5);
  expect(ran).toBe(0);
});

test('the wall clock may step either way without moving monotonic time', async () => {
  const clock = createVirtualClock({ wallMs: 1_000_000 });
  await clock.advance(500);
  clock.stepWall(-60_000);
  expect(clock.wallMs()).toBe(940_500);
  expect(clock.nowUs()).toBe(500_000);
});

test('the next timer can be jumped to, and there is an end', async () => {
  const clock = createVirtualClock();
  clock.after(3_600_000, () => clock.after(1, () => undefined));
  expect(await clock.runNext()).toBe(true);
  expect(await clock.runNext()).toBe(true);
  expect(await clock.runNext()).toBe(false);
  expect(clock.nowUs()).toBe(3_600_001_000);
});
