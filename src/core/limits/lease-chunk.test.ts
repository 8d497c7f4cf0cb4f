import fc from 'fast-check';
import { expect, test } from 'vitest';
import { leaseWish, sparePlaces, unitsToReturn } from './lease-chunk.ts';

const demand = (asks: number, units: number, asksBefore = 0, unitsBefore = 0) => ({ asks, units, asksBefore, unitsBefore });

test('a cold meter wishes for nothing, a warm one for what it is asked for in a lease', () => {
  expect(leaseWish(demand(1, 500), 1, 0)).toBe(0);
  expect(leaseWish(demand(3, 3), 1, 0)).toBe(0);
  expect(leaseWish(demand(3, 3), 0.001, 0)).toBe(0);
  expect(leaseWish(demand(4, 4_000), 1, 0)).toBe(4_000);
  expect(leaseWish(demand(1, 10, 100, 1_000), 0.1, 0)).toBe(1_000);
});

test('a lease that has just begun is taken to go on as it began, for at most four times what was asked', () => {
  expect(leaseWish(demand(10, 10), 0.5, 0)).toBe(20);
  expect(leaseWish(demand(10, 10), 0.001, 0)).toBe(40);
});

test('what is still at hand is not wished for again', () => {
  expect(leaseWish(demand(10, 100), 1, 60)).toBe(40);
  expect(leaseWish(demand(10, 100), 1, 500)).toBe(0);
});

/** A meter in exact numbers: what was taken, less what time refilled, never below nothing. */
const after = (ahead: number, us: number, perUs: number): number => Math.max(0, ahead - us * perUs);

test('a share given back early never gives back what time has given back already', () => {
  const whole = (max: number) => fc.integer({ min: 0, max });
  fc.assert(
    fc.property(
      whole(100),
      whole(100),
      whole(100),
      whole(40),
      whole(40),
      fc.constantFrom(1, 2, 4),
      (before, share, between, early, late, over) => {
        const perUs = 1 / over;
        // The share is charged, something else is taken, and the share is given back unspent; beside it a meter without the share.
        const withShare = after(after(before + share, early, perUs) + between, late, perUs);
        const without = after(after(before, early, perUs) + between, late, perUs);
        return withShare - unitsToReturn(share, early + late, perUs) >= without - 1e-9;
      },
    ),
  );
});

test('a count that time does not refill gets all of it back', () => {
  expect(unitsToReturn(70, 5_000_000, 0)).toBe(70);
  expect(unitsToReturn(70, 50, 1)).toBe(20);
  expect(unitsToReturn(70, 500, 1)).toBe(0);
});

test('all gateways together keep at most half of the free places for themselves', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 500 }),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 0, max: 1_000 }),
      (free, gateways, wish) => {
        const spare = sparePlaces(wish, free, gateways);
        return spare >= 0 && spare <= wish && spare * gateways <= free / 2;
      },
    ),
  );
  expect(sparePlaces(10, 3, 2)).toBe(0);
});
