import { expect, test } from 'vitest';
import type { LimitView, TightestLimits } from '#core/limits';
import { rateHeaders } from './rate-headers.ts';

const view = (more: Partial<LimitView>): LimitView =>
  ({ subject: 'key_a', limit: 600, remaining: 599, fullInUs: 100_000, ...more }) as LimitView;
const limits: TightestLimits = {
  requests: view({}),
  inputTokens: view({ limit: 400_000, remaining: 399_999, fullInUs: 1 }),
  outputTokens: null,
  tokens: view({ limit: 400, remaining: 7, fullInUs: null }),
};
const NOW = Date.UTC(2026, 10, 25, 3, 20, 0, 950);

test('Anthropic’s clients are told limit, remaining in thousands, and when it is full again to the second, upward', () => {
  expect(rateHeaders('anthropic', limits, NOW)).toEqual({
    'anthropic-ratelimit-requests-limit': '600',
    'anthropic-ratelimit-requests-remaining': '599',
    'anthropic-ratelimit-requests-reset': '2026-11-25T03:20:02Z',
    'anthropic-ratelimit-tokens-limit': '400',
    'anthropic-ratelimit-tokens-remaining': '7',
    'anthropic-ratelimit-input-tokens-limit': '400000',
    'anthropic-ratelimit-input-tokens-remaining': '399000',
    'anthropic-ratelimit-input-tokens-reset': '2026-11-25T03:20:01Z',
  });
});

test.each([
  [0, '0ms'],
  [999, '999ms'],
  [1_500, '1.5s'],
  [360_000, '6m0s'],
  [3_723_250, '1h2m3.25s'],
])('OpenAI’s clients are told durations: %i ms is %s', (ms, text) => {
  const told = rateHeaders('openai_chat', { ...limits, requests: view({ fullInUs: ms * 1000 }) }, NOW);
  expect(told['x-ratelimit-reset-requests']).toBe(text);
  expect(told['x-ratelimit-limit-requests']).toBe('600');
  expect(told['x-ratelimit-remaining-tokens']).toBe('7');
});
