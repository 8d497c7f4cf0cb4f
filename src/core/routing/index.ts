export { judgeAttempt, readRetryAfterMs, type AttemptFact, type AttemptVerdict } from './judge-attempt.ts';
export { place } from './place.ts';
export { createRetryBudget, type RetryBudget } from './retry-budget.ts';
