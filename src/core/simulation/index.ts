export { exampleOf } from './example.ts';
export { type FitError, fitError, fitNonNegative, type Observation, predict } from './least-squares.ts';
export type { CalibratedProfile, EngineProfile } from './profile.ts';
export { createScheduler, type Job, type JobProgress, type Scheduler, type SchedulerCounts } from './scheduler.ts';
export { createDraw, type Draw, pick } from './seeded.ts';
export { drawAnswerTokens, SIMULATED_PREFACE, simulatedProse, simulatedThought } from './text.ts';
