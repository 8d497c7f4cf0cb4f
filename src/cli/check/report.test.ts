import { expect, test } from 'vitest';
import { exitCodeOf, renderResult, summarize } from './report.ts';
import type { CheckResult } from './run-checks.ts';
import { fail, pass, unknown, type Verdict } from './verdict.ts';

const result = (verdict: Verdict): CheckResult => ({
  id: 'a.b',
  theme: 'A',
  title: 'it holds',
  dialect: 'anthropic',
  verdict,
  durationMs: 1,
});

test.each([
  [[pass('')], 0],
  [[pass(''), unknown('', '')], 0],
  [[pass(''), fail(''), unknown('', '')], 1],
  [[unknown('', '')], 3],
  [[], 3],
] as const)('the exit code never takes a doubt for a pass: %j gives %i', (verdicts, code) => {
  expect(exitCodeOf(summarize(verdicts.map(result)))).toBe(code);
});

test('a doubt says what would settle it', () => {
  expect(renderResult(result(unknown('dark in here', 'a lamp')))).toBe(
    '  ? it holds [a.b]: dark in here\n      would settle it: a lamp',
  );
});
