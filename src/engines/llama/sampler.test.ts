import { expect, test } from 'vitest';
import { SAMPLER_DEFAULTS, samplerFor } from './sampler.ts';
import { promptOf } from './test-prompt.fixture.ts';

test('what a client says about sampling holds, and the rest is the behavior’s own', () => {
  const { temperature: _, ...silent } = promptOf(['x']);
  expect(samplerFor(silent, SAMPLER_DEFAULTS, 5)).toEqual({
    ...SAMPLER_DEFAULTS,
    seed: 5,
    presencePenalty: 0,
    frequencyPenalty: 0,
  });
  const said = { temperature: 0, topP: 0.5, topK: 3, seed: 9, presencePenalty: 1, frequencyPenalty: -1 };
  expect(samplerFor({ ...silent, ...said }, SAMPLER_DEFAULTS, 5)).toEqual(said);
});

test.each([
  [-1, 2 ** 32 - 1],
  [2 ** 32 + 7, 7],
  [3.9, 3],
])('the seed %d becomes the 32-bit seed %d', (seed, expected) => {
  expect(samplerFor(promptOf(['x'], { seed }), SAMPLER_DEFAULTS, 0).seed).toBe(expected);
});
