export { exampleOf } from './example.ts';
export { type FitError, fitError, fitNonNegative, type Observation, predict } from './least-squares.ts';
export { type EngineProfile, stepUs } from './profile.ts';
export { createScheduler, type Job, type JobProgress, type Scheduler, type SchedulerCounts } from './scheduler.ts';
export { createDraw, type Draw } from './seeded.ts';
export { drawAnswerTokens, simulatedProse, SIMULATED_PREFACE, simulatedThought } from './text.ts';
