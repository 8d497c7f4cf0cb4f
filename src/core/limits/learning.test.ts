import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createTokenExpectations } from './expect-tokens.ts';
import { grow, type GrowthState } from './growth.ts';

test('the quantile of output settles where the given share of answers lies under it', () => {
  let seed = 1;
  const uniform = (): number => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff) / 0x8000_0000;
  const known = createTokenExpectations({ quantile: 0.9 });
  let above = 0;
  for (let n = 0; n < 6_000; n++) {
    const tokens = Math.ceil(-Math.log(1 - uniform()) * 300);
    if (n >= 1_000 && tokens > known.outputQuantile(1)) above++;
    known.learnOutput(1, tokens);
  }
  expect(above / 5_000).toBeGreaterThan(0.07);
  expect(above / 5_000).toBeLessThan(0.13);
});

test('what is learned of one key and model leaves the others as they were', () => {
  const known = createTokenExpectations();
  for (let n = 0; n < 500; n++) known.learnOutput(1, 1);
  expect(known.outputQuantile(1)).toBeLessThan(30);
  expect(known.outputQuantile(2)).toBe(512);
});

test('input follows a model’s own bytes a token, and a picture does not make the next text free', () => {
  const known = createTokenExpectations();
  expect(known.input(1, 4_000)).toBe(1_000);
  for (let n = 0; n < 200; n++) known.learnInput(1, 3_000, 1_000);
  expect(known.input(1, 3_000)).toBeGreaterThan(980);
  known.learnInput(1, 5_000_000, 10);
  expect(known.input(1, 3_000)).toBeGreaterThan(700);
  known.learnInput(1, 100, 0);
  expect(known.input(1, 1)).toBe(1);
});

const MINUTE_US = 60_000_000;
const send = (
  from: GrowthState | undefined,
  count: number,
  nowUs: number,
): { state: GrowthState | undefined; passed: number } => {
  let state = from;
  let passed = 0;
  for (let n = 0; n < count; n++) {
    const answer = grow(state, { floor: 10, factor: 2 }, nowUs);
    if (answer.refused) continue;
    state = answer.state;
    passed++;
  }
  return { state, passed };
};

test('growth: the floor always passes, twice the usual passes, a sudden flood does not', () => {
  expect(send(undefined, 100, 0).passed).toBe(10);
  let state: GrowthState | undefined;
  for (let minute = 0; minute < 300; minute++) {
    const cap = Math.max(10, Math.floor(2 * (state?.usual ?? 0)));
    const sent = send(state, Math.min(cap, 100), minute * MINUTE_US);
    expect(sent.passed).toBe(Math.min(cap, 100));
    state = sent.state;
  }
  expect(state?.usual).toBeGreaterThan(50);
  expect(send(state, 1_000, 300 * MINUTE_US).passed).toBeLessThanOrEqual(200);
});

test('growth: the wait it names is enough, and an hour of silence makes it forget', () => {
  const { state } = send(undefined, 10, 5_000_000);
  const refused = grow(state, { floor: 10, factor: 2 }, 5_000_000);
  expect(refused).toEqual({ refused: true, waitUs: 55_000_000 });
  expect(grow(state, { floor: 10, factor: 2 }, MINUTE_US).refused).toBe(false);
  const later = grow({ minute: 0, count: 0, usual: 1_000 }, { floor: 1, factor: 2 }, 1_000 * MINUTE_US);
  expect(later.refused ? 0 : later.state.usual).toBeLessThan(1);
});

test('growth: no clock and no pattern lets more than the cap through in a minute', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: -30_000_000, max: 90_000_000 }), fc.nat(40)), { maxLength: 60 }), (steps) => {
      let state: GrowthState | undefined;
      let nowUs = 1_000 * MINUTE_US;
      for (const [gap, count] of steps) {
        nowUs = Math.max(0, nowUs + gap);
        ({ state } = send(state, count, nowUs));
        if (state) expect(state.count).toBeLessThanOrEqual(Math.max(10, 2 * state.usual));
      }
    }),
  );
});
