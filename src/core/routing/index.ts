export { judgeAttempt, readRetryAfterMs, type AttemptFact, type AttemptVerdict } from './judge-attempt.ts';
export { place, type Candidate, type Placement } from './place.ts';
export { createRetryBudget, type RetryBudget } from './retry-budget.ts';
