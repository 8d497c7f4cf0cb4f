import { expect, test } from 'vitest';
import { drawProgress } from './progress-bar.ts';

test.each([
  [{ bytes: 0, totalBytes: 100e6, elapsedMs: 0 }, 'm ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░ 0 % 0.0/100.0 MB'],
  [{ bytes: 50e6, totalBytes: 100e6, elapsedMs: 5000 }, 'm ███████████████░░░░░░░░░░░░░░░ 50 % 50.0/100.0 MB 10.0 MB/s'],
  [{ bytes: 120e6, totalBytes: 100e6, elapsedMs: 1000 }, 'm ██████████████████████████████ 100 % 120.0/100.0 MB 120.0 MB/s'],
  [{ bytes: 5e6, totalBytes: null, elapsedMs: 1000 }, 'm 5.0 MB 5.0 MB/s'],
])('the bar says how far a download is: %j', (progress, expected) => {
  expect(drawProgress('m', progress)).toBe(expected);
});
