export { type CaseGroup, evidenceOf, fileFiring, type Filing, groupCases, reviewsOf } from './cases.ts';
export { DEFAULT_RULES } from './default-rules.ts';
export { calibrateThreshold, type Calibration, thresholdFor, type Watch } from './false-alarms.ts';
export { createKeyedHash, type KeyedHash, type Seed } from './keyed-hash.ts';
export {
  allowedRung,
  decideStep,
  expiresAtMs,
  type Ground,
  REQUIREMENTS,
  type Requirement,
  reviewsNeeded,
  type Step,
} from './ladder.ts';
export { type Observation, type ObservedOutcome, observationOf, type Unrecorded } from './observation.ts';
export { type Interval, precisionOf, type Reviews, wilson } from './precision.ts';
export { createReplay, type Replay, type ReplayReport, type RuleReport, UNRECORDED_SIGNALS } from './replay.ts';
export { type CompiledRule, compileRule, compileRules, type Judgement } from './rules.ts';
export {
  BYTES_PER_SUBJECT,
  createSignalBook,
  type NewAccount,
  type SignalBook,
  type SignalBookOptions,
  type Whereabouts,
} from './signal-book.ts';
export { type Reading, SIGNAL_NAMES, type SignalName, SIGNALS, type SignalSpec, type WatchedKind } from './signal-names.ts';
