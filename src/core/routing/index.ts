export { place, type Candidate, type Placement } from './place.ts';
export { createRetryBudget, type RetryBudget } from './retry-budget.ts';
