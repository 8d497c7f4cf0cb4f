import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MeterTable, SEGMENT_BITS } from './meter-table.ts';

const values = (table: MeterTable, row: number): Float64Array => table.numbers[row >>> SEGMENT_BITS]!;

test('finds what was put in and nothing else, in any order of putting in and forgetting', () => {
  // Few values of each half, so that hashes meet in one place, in one segment, and in both halves.
  const hash = fc.tuple(fc.constantFrom(0, 1, 0x8000_0000, 0xffff_ffff), fc.constantFrom(0, 1, 2, 16_383, 16_384, 0xffff_ffff));
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), hash), { maxLength: 200 }), (steps) => {
      const table = new MeterTable(2, 1_000);
      const model = new Map<string, number>();
      let mark = 0;
      for (const [isIn, [high, low]] of steps) {
        const name = `${high}/${low}`;
        const row = table.find(high, low);
        expect(row === -1).toBe(!model.has(name));
        if (row !== -1) expect(values(table, row)[table.offsetOf(row)]).toBe(model.get(name));
        if (isIn && row === -1) {
          const made = table.insert(high, low);
          expect(values(table, made)[table.offsetOf(made) + 1]).toBe(0);
          values(table, made)[table.offsetOf(made)] = ++mark;
          values(table, made)[table.offsetOf(made) + 1] = mark;
          model.set(name, mark);
        } else if (!isIn && row !== -1) {
          table.remove(row);
          expect(table.isUsed(row)).toBe(false);
          model.delete(name);
        }
        expect(table.size).toBe(model.size);
      }
    }),
  );
});

// Some 300 ms: enough rows for several splits of the index and both kinds of segment.
test('grows through many splits without losing or mixing up a row, and uses freed rows again', () => {
  const table = new MeterTable(1, 200_000);
  const high = (n: number): number => Math.imul(n + 1, 0x9e3779b1) >>> 0;
  const low = (n: number): number => Math.imul(n + 1, 0x85ebca6b) >>> 0;
  const put = (n: number): void => {
    const row = table.insert(high(n), low(n));
    values(table, row)[table.offsetOf(row)] = n;
  };
  for (let n = 0; n < 100_000; n++) put(n);
  for (let n = 0; n < 100_000; n += 2) table.remove(table.find(high(n), low(n)));
  for (let n = 100_000; n < 150_000; n++) put(n);
  expect(table.rows).toBe(100_000);
  expect(table.size).toBe(100_000);
  let wrong = 0;
  for (let n = 0; n < 150_000; n++) {
    const row = table.find(high(n), low(n));
    const isThere = n >= 100_000 || n % 2 === 1;
    if (isThere ? values(table, row)[table.offsetOf(row)] !== n : row !== -1) wrong++;
  }
  expect(wrong).toBe(0);
});

test('takes no more rows than its bound', () => {
  const table = new MeterTable(1, 2);
  expect([table.insert(1, 1), table.insert(2, 2), table.insert(3, 3)]).toEqual([0, 1, -1]);
  table.remove(0);
  expect(table.insert(3, 3)).toBe(0);
});
