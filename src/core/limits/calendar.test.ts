import fc from 'fast-check';
import { expect, test } from 'vitest';
import { utcDay, utcMonth } from './calendar.ts';

test('months and days agree with the calendar, to the millisecond, for two centuries', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: Date.UTC(2170, 0, 1) }), (wallMs) => {
      const date = new Date(wallMs);
      const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
      expect(utcMonth(wallMs)).toEqual({
        index: (year - 1970) * 12 + month,
        startMs: Date.UTC(year, month, 1),
        endMs: Date.UTC(year, month + 1, 1),
      });
      const day = date.getUTCDate();
      expect(utcDay(wallMs)).toMatchObject({ startMs: Date.UTC(year, month, day), endMs: Date.UTC(year, month, day + 1) });
    }),
  );
});

test.each([
  ['the last millisecond of a leap February', Date.UTC(2028, 1, 29, 23, 59, 59, 999), 1],
  ['the first of March after it', Date.UTC(2028, 2, 1), 31 * 86_400_000],
  ['the turn of a year', Date.UTC(2026, 11, 31, 23, 59, 59, 999), 1],
  ['the first moment of all', 0, 31 * 86_400_000],
])('%s', (_, wallMs, msLeft) => expect(utcMonth(wallMs).endMs - wallMs).toBe(msLeft));
