export {
  startUsageFlow,
  type UsageFlow,
  type UsageFlowEvent,
  type UsageFlowOptions,
  type UsageFlowStatus,
} from './usage-flow.ts';
