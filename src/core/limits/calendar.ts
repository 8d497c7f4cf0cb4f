const DAY_MS = 86_400_000;
const MONTHS_BEFORE_EPOCH = 1970 * 12;

/** A day or month of the UTC calendar. */
export interface Period {
  /** Days or months since 1970. */
  readonly index: number;
  /** Its first wall ms, and the first one after it. */
  readonly startMs: number;
  readonly endMs: number;
}

/** The UTC day that holds a wall time in whole ms since 1970. */
export function utcDay(wallMs: number): Period {
  const index = Math.floor(wallMs / DAY_MS);
  return { index, startMs: index * DAY_MS, endMs: (index + 1) * DAY_MS };
}

/** The UTC month that holds a wall time in whole ms since 1970. */
export function utcMonth(wallMs: number): Period {
  const { year, month } = civil(Math.floor(wallMs / DAY_MS));
  const index = year * 12 + (month - 1) - MONTHS_BEFORE_EPOCH;
  return { index, startMs: firstDayOfMonth(index) * DAY_MS, endMs: firstDayOfMonth(index + 1) * DAY_MS };
}

/**
 * Year and month (1 to 12) of a day since 1970, proleptic Gregorian.
 * Source: H. Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
 */
function civil(day: number): { readonly year: number; readonly month: number } {
  const shifted = day + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const fromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month };
}

/** The inverse, for the first of a month; Source: as above, days_from_civil. */
function firstDayOfMonth(index: number): number {
  const months = index + MONTHS_BEFORE_EPOCH;
  const month = (months % 12) + 1;
  const year = Math.floor(months / 12) - (month <= 2 ? 1 : 0);
  const era = Math.floor(year / 400);
  const yearOfEra = year - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5);
  return era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468;
}
