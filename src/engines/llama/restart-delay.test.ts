import { expect, test } from 'vitest';
import { countCrash, restartDelayMs } from './restart-delay.ts';

test('each crash in a row doubles the wait, up to half a minute', () => {
  const delays = [];
  let crashes = { inARow: 0 };
  for (let at = 0; at < 10; at++) {
    crashes = countCrash(crashes, 1_000);
    delays.push(restartDelayMs(crashes));
  }
  expect(delays).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
});

test('a crash after a minute of service starts the count again', () => {
  expect(restartDelayMs(countCrash({ inARow: 7 }, 60_000))).toBe(250);
  expect(restartDelayMs(countCrash({ inARow: 7 }, 59_999))).toBe(30_000);
});
