export { utcDay, utcMonth, type Period } from './calendar.ts';
export {
  createMeterBook,
  newDecisionSlot,
  refusingMeter,
  type DecisionSlot,
  type MeterBook,
  type MeterBookOptions,
} from './meter-book.ts';
export { countMeters, meterAt, type Ask, type Decision, type MeterGroup, type Rule, type Scope } from './meters.ts';
export { compileRate, RATE_KINDS, unitsLeft, UNLIMITED, usUntilFull, type Rate, type RateKind, type RateSpec } from './rate.ts';
