import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createHeavyCounter } from './space-saving.ts';

test('a heavy counter never counts too little, is over by at most what it says, and that is at most N/m', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 300 }),
      fc.integer({ min: 1, max: 12 }),
      (items, slots) => {
        const counter = createHeavyCounter(slots);
        for (const item of items) counter.add(item);
        for (const item of new Set(items)) {
          const truth = items.filter((other) => other === item).length;
          const { count, overMax } = counter.count(item);
          expect(overMax).toBeLessThanOrEqual(items.length / slots);
          if (count === 0) expect(truth).toBeLessThanOrEqual(overMax);
          else {
            expect(count).toBeGreaterThanOrEqual(truth);
            expect(count - overMax).toBeLessThanOrEqual(truth);
          }
          if (truth > items.length / slots) expect(count).toBeGreaterThan(0);
        }
      },
    ),
  );
});

test('a cleared heavy counter has seen nothing', () => {
  const counter = createHeavyCounter(2);
  counter.add(4);
  counter.clear();
  expect(counter.count(4)).toEqual({ count: 0, overMax: 0 });
});
