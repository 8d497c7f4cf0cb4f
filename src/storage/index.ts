export type { Journal, JournalRefusal, JournalStatus, UsageBatch, UsageQuery, UsageRow, UsageStore } from './ports.ts';
