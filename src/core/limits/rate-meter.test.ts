import fc from 'fast-check';
import { expect, test } from 'vitest';
import { takeOne, type RateMeter } from './rate-meter.ts';

const MINUTE_US = 60_000_000;

test('never more than the limit in any minute, and the wait it names is exact', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 200 }),
      fc.array(fc.integer({ min: 0, max: 3_000_000 }), { minLength: 1, maxLength: 300 }),
      (limit, gaps) => {
        let meter: RateMeter | undefined;
        let now = 0;
        const taken: number[] = [];
        for (const gap of gaps) {
          now += gap;
          const answer = takeOne(meter, limit, now);
          if (answer.kind === 'taken') {
            meter = answer.meter;
            taken.push(now);
          } else {
            expect(answer.waitUs).toBeGreaterThan(0);
            expect(takeOne(meter, limit, now + answer.waitUs).kind).toBe('taken');
            expect(takeOne(meter, limit, now + answer.waitUs - 1).kind).toBe('wait');
          }
        }
        // GCRA with a burst of one window admits at most burst + rate × time.
        for (let i = 0; i < taken.length; i++)
          for (let j = i; j < taken.length; j++)
            expect(j - i + 1).toBeLessThanOrEqual(
              limit + Math.ceil((((taken[j] as number) - (taken[i] as number)) * limit) / MINUTE_US),
            );
      },
    ),
    { numRuns: 60 },
  );
});

test('refills at the exact rate: limits that do not divide a minute lose nothing over an hour', () => {
  for (const limit of [1, 7, 11, 60, 999, 1_000_003]) {
    let meter: RateMeter | undefined;
    let now = 0;
    const count = Math.min(limit * 3, 200_000);
    for (let i = 0; i < count; i++) {
      const answer = takeOne(meter, limit, now);
      if (answer.kind === 'wait') {
        now += answer.waitUs;
        i--;
      } else meter = answer.meter;
    }
    const exact = Math.max(0, ((count - limit) * MINUTE_US) / limit);
    expect(now).toBe(Math.ceil(exact));
  }
});

test('a clock that steps back refills nothing', () => {
  let meter: RateMeter | undefined;
  for (let i = 0; i < 3; i++) {
    const answer = takeOne(meter, 3, 10 * MINUTE_US);
    if (answer.kind === 'taken') meter = answer.meter;
  }
  expect(takeOne(meter, 3, 0).kind).toBe('wait');
});
