import fc from 'fast-check';
import { expect, test } from 'vitest';
import { estimateOutputTokens, newProgress } from './progress.ts';

test('nothing delivered is nothing to pay for, unless the engine itself said otherwise', () => {
  expect(estimateOutputTokens(newProgress())).toBe(0);
  expect(estimateOutputTokens({ ...newProgress(), usage: { output: 3 } })).toBe(3);
});

test('an engine that sends a token an event is counted exactly', () => {
  expect(estimateOutputTokens({ ...newProgress(), contentEvents: 40, contentBytes: 40 * 5 })).toBe(40);
});

test('where an event holds many tokens, bytes are the better witness', () => {
  expect(estimateOutputTokens({ ...newProgress(), contentEvents: 2, contentBytes: 4_000 })).toBe(1_000);
});

test('an estimate is a whole number, never less than what the engine said, and never falls as more is delivered', () => {
  const count = fc.integer({ min: 0, max: 100_000 });
  fc.assert(
    fc.property(count, count, count, (contentEvents, extra, said) => {
      const progress = { ...newProgress(), contentEvents, contentBytes: contentEvents + extra, usage: { output: said } };
      const estimate = estimateOutputTokens(progress);
      expect(Number.isInteger(estimate)).toBe(true);
      expect(estimate).toBeGreaterThanOrEqual(said);
      const more = { ...progress, contentBytes: progress.contentBytes + 100 };
      if (contentEvents > 0) expect(estimateOutputTokens(more)).toBeGreaterThanOrEqual(Math.min(estimate, contentEvents));
    }),
  );
});
