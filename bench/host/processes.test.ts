import { expect, test } from 'vitest';
import { parseStat, readFootprint, readKernelUnits } from './processes.ts';

test('a process whose name holds spaces and parentheses is read right', () => {
  const fields = Array.from({ length: 50 }, (_, index) => String(index + 3)).join(' ');
  expect(parseStat(`42 (a (b) c) ${fields}`)).toEqual({ parent: 4, cpuTicks: 14 + 15, rssPages: 24 });
});

test('the footprint of this process is near what Node says of itself', () => {
  const before = process.memoryUsage.rss();
  const { rssBytes, cpuMs } = readFootprint(process.pid, readKernelUnits());
  expect(rssBytes).toBeGreaterThan(before * 0.5);
  expect(cpuMs).toBeGreaterThan(0);
});
