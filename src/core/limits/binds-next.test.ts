import { expect, test } from 'vitest';
import { bindsNext, type MeterState } from './binds-next.ts';
import { perMinute, rateOf, ruleOf } from './meter-kit.fixture.ts';
import { mixAfter, rateAt, type Mix } from './mix.ts';

const amounts = { input: 1_000, cacheRead: 0, cacheWrite: 0, output: 100, costMicroUsd: 5_000 };
const state = (id: string, measure: MeterState['rule']['measure'], rate: MeterState['rate'], ahead: number): MeterState => ({
  rule: ruleOf(id, { measure }),
  subject: 'key_a',
  rate,
  ahead,
});
/** A key that has called twice a second for five minutes. */
function busy(): Mix {
  let mix: Mix | undefined;
  for (let n = 0; n < 600; n++) mix = mixAfter(mix, amounts, n * 500_000);
  return mix as Mix;
}
const NOW = 299_500_000;

test('the rate of requests is learned, and fades while nothing comes', () => {
  expect(rateAt(busy(), NOW)).toBeCloseTo(2, 1);
  expect(rateAt(busy(), NOW + 60_000_000)).toBeCloseTo(2 / Math.E, 1);
});

test('the limit that is used up first at the present rate is the one that is named, with the time it takes', () => {
  const states = [state('rpm', 'requests', perMinute(600), 0), state('itpm', 'input_tokens', perMinute(60_000), 0)];
  expect(bindsNext(states, busy(), NOW)).toEqual({
    rule: 'itpm',
    subject: 'key_a',
    because: 'at the present rate it is used up in 60 s (1,000 a request on average)',
  });
});

test('what is used up already comes first, whatever else is near', () => {
  const states = [
    state('itpm', 'input_tokens', perMinute(60_000), 0),
    state('month', 'spend', rateOf({ kind: 'month', limit: 10 }), 10),
  ];
  expect(bindsNext(states, busy(), NOW)).toMatchObject({ rule: 'month', because: expect.stringMatching(/^it is used up now/) });
});

test('limits that refill faster than they are used are told as what fits at once; a key that never called is said to be unknown', () => {
  const states = [
    state('rpm', 'requests', perMinute(600), 0),
    state('places', 'concurrency', rateOf({ kind: 'places', limit: 8 }), 0),
  ];
  expect(bindsNext(states, busy(), NOW)).toMatchObject({
    rule: 'places',
    because: expect.stringMatching(/8 requests would fit/),
  });
  expect(bindsNext(states, undefined, NOW)?.because).toMatch(/nothing being known of this key yet/);
  expect(bindsNext([], undefined, NOW)).toBeNull();
});
