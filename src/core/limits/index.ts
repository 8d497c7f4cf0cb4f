export { boundsOf } from './bounds.ts';
export {
  BEAT_MS,
  breakerAfter,
  breakerAnswered,
  breakerFailed,
  breakerProbes,
  CLOSED_BREAKER,
  SHARE_AFTER_US,
  type Breaker,
} from './breaker.ts';
export { leaseWish, sparePlaces, unitsToReturn, type Demand } from './lease-chunk.ts';
export { chargedShare, localShare, refilled, shareWaitUs, untouchedShare } from './local-share.ts';
export { utcDay, utcMonth } from './calendar.ts';
export { createMeterBook, newDecisionSlot, type MeterBook, type MeterBookOptions } from './meter-book.ts';
export { countMeters, meterAt, type Ask, type Decision, type MeterGroup, type Rule, type Scope } from './meters.ts';
export { compileRate, RATE_KINDS, unitsLeft, UNLIMITED, usUntilFull, type Rate, type RateSpec } from './rate.ts';
export { expectedCosts, settlingDeltas, unitsOf, type Amounts } from './amounts.ts';
export { createTokenExpectations } from './expect-tokens.ts';
export { grow, type GrowthState } from './growth.ts';
export { compileLimits, problemOfOverride, type LimitedTenant, type LimitPlanner, type SubjectHash } from './plan.ts';
export type { LimitDefinition } from './rules.ts';
export { isNearLimit, tightestLimits, type LimitView, type TightestLimits } from './tightest.ts';
export { bindsNext, type MeterState } from './binds-next.ts';
export { mixAfter, type Mix } from './mix.ts';
export { promotionOf, type Promotion } from './promotion.ts';
