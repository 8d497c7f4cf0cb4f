// What users import as `plimsoll/limits`: exact limits for their own programs, with nothing else installed.
export { createMeterBook, newDecisionSlot, type DecisionSlot, type MeterBook, type MeterBookOptions } from './meter-book.ts';
export { countMeters, meterAt, type Ask, type Decision, type MeterGroup, type Rule, type Scope } from './meters.ts';
export { compileRate, RATE_KINDS, unitsLeft, UNLIMITED, usUntilFull, type Rate, type RateKind, type RateSpec } from './rate.ts';
export { takeOne, type RateMeter } from './rate-meter.ts';
