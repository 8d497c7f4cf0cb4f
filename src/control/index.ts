export { createControl, type ControlOptions } from './create-control.ts';
export type { KeyLimits, LimitState, LimitViews, RuleInForce } from './limit-views.ts';
export { adminRoutes } from './routes.ts';
export type { Principal, Reach } from './principal.ts';
