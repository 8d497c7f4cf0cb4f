import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createSubjectRows } from './subject-rows.ts';

test('rows are found by their hash, forgotten in the order in which they were not seen, and never while pinned', () => {
  const step = fc.record({
    kind: fc.constantFrom('take', 'take', 'take', 'find', 'pin', 'unpin'),
    // Few low words, so that chains of the index are long and wrap around its end.
    low: fc.constantFrom(0, 1, 15, 0xffff_ffff),
    high: fc.integer({ min: 0, max: 3 }),
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), fc.array(step, { maxLength: 120 }), (rowsMax, steps) => {
      const rows = createSubjectRows({ rowsMax, floatCount: 2, wordCount: 1 });
      const model = new Map<string, { value: number; isPinned: boolean }>(); // least recently seen first
      let next = 0;
      for (const { kind, low, high } of steps) {
        const name = `${low}/${high}`;
        const known = model.get(name);
        if (kind === 'take') {
          const row = rows.take(low, high);
          expect(rows.isNew()).toBe(known === undefined);
          if (known) {
            expect(row.floats[row.at]).toBe(known.value);
            model.delete(name);
            model.set(name, known);
          } else {
            expect([row.floats[row.at], row.floats[row.at + 1], row.words[row.wordsAt]]).toEqual([0, 0, 0]);
            row.floats[row.at] = ++next;
            row.words[row.wordsAt] = next;
            if (model.size === rowsMax) model.delete([...model].find(([, entry]) => !entry.isPinned)![0]);
            model.set(name, { value: next, isPinned: false });
          }
        } else if (kind === 'find') {
          const row = rows.find(low, high);
          expect(row ? row.floats[row.at] : undefined).toBe(known?.value);
        } else {
          const isPinned = kind === 'pin';
          const pins = [...model.values()].filter((entry) => entry.isPinned).length;
          const isTaken = known !== undefined && (!isPinned || known.isPinned || pins + 1 <= rowsMax / 4);
          expect(rows.pin(low, high, isPinned)).toBe(isTaken);
          if (known && isTaken && known.isPinned !== isPinned) {
            known.isPinned = isPinned;
            // One that is let go counts as just seen.
            model.delete(name);
            model.set(name, known);
          }
        }
        expect(rows.size).toBe(model.size);
      }
    }),
    { numRuns: 500 },
  );
});

test('memory comes in segments, and never passes what the bound says', () => {
  const rows = createSubjectRows({ rowsMax: 1_000, floatCount: 10, wordCount: 10 });
  const empty = rows.byteCount;
  rows.take(1, 1);
  expect(rows.byteCount - empty).toBe(256 * 120);
  for (let at = 0; at < 5_000; at++) rows.take(at, at);
  expect(rows.byteCount - empty).toBe(1_000 * 120);
  expect(rows.size).toBe(1_000);
  expect(rows.evicted).toBe(4_000);
});
