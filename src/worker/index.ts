export {
  startUsageFlow,
  type UsageFlow,
  type UsageFlowEvent,
  type UsageFlowOptions,
  type UsageFlowStatus,
} from './usage-flow.ts';
export {
  createAbuseWatch,
  type AbuseEvent,
  type AbuseStatus,
  type AbuseWatch,
  type AbuseWatchOptions,
  type Seen,
  type SubjectSignals,
} from './abuse/abuse-watch.ts';
export { BadAbuseRules, compiledRules, rulesInForce } from './abuse/rules-in-force.ts';
