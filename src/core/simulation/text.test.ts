import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createDraw } from './seeded.ts';
import { drawAnswerTokens, SIMULATED_PREFACE, simulatedProse, simulatedThought } from './text.ts';

test('prose says first that it is simulated, is ASCII, as long as asked, and the same for the same seed', () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 0, max: 3000 }), (seed, charactersMin) => {
      const text = simulatedProse(createDraw(seed), charactersMin);
      expect(text.startsWith(SIMULATED_PREFACE)).toBe(true);
      expect(text).toMatch(/^[ -~]+\.$/);
      expect(text.length).toBeGreaterThanOrEqual(charactersMin);
      expect(text.length).toBeLessThan(charactersMin + 200);
      expect(simulatedProse(createDraw(seed), charactersMin)).toBe(text);
      expect(simulatedThought(createDraw(seed), charactersMin).length).toBeGreaterThanOrEqual(charactersMin);
    }),
    { examples: [[1_667_905_262, 419]] },
  );
});

test('answers vary in length around the median, within an eighth and eight times of it', () => {
  const draw = createDraw(7);
  const lengths = Array.from({ length: 2001 }, () => drawAnswerTokens(draw, 80)).toSorted((a, b) => a - b);
  expect(lengths[0]).toBeGreaterThanOrEqual(10);
  expect(lengths.at(-1)).toBeLessThanOrEqual(640);
  expect(lengths[1000]).toBeGreaterThan(74);
  expect(lengths[1000]).toBeLessThan(86);
});

test('draws are uniform enough to script a rate by', () => {
  const draw = createDraw(1);
  const draws = Array.from({ length: 10_000 }, draw);
  expect(draws.every((value) => value >= 0 && value < 1)).toBe(true);
  expect(draws.filter((value) => value < 0.2).length / draws.length).toBeCloseTo(0.2, 1);
});
