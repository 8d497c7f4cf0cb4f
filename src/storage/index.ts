export { createDiskFiles } from './journal/files.ts';
export { createJournal, type JournalOptions, type OpenJournal } from './journal/journal.ts';
export { createJournalReader, type JournalPiece, type JournalReader } from './journal/reader.ts';
export type { JournalEvent } from './journal/event.ts';
export { DirectoryInUse, lockDirectory, type DirectoryLock } from './lock-directory.ts';
export { awaitAcknowledged, type Acknowledgement, type AwaitOptions } from './control-store/await-acknowledged.ts';
export { createBoundedStore, runControlCall, type ControlCall } from './control-store/bounded-store.ts';
export { digestKey, hashKey, hintOf, newKey, type NewKey, type Pepper } from './control-store/key-hash.ts';
export {
  connectControlStore,
  openControlStore,
  openEmbeddedStores,
  type OpenControlOptions,
} from './control-store/open-control-store.ts';
export {
  StoreAway,
  type AuditDraft,
  type AuditEntry,
  type AuditQuery,
  type ChangePage,
  type ControlChange,
  type ControlStore,
  type GatewaySeen,
  type ListQuery,
  type Versioned,
} from './control-port.ts';
export type { StorePlace } from './sql/open-database.ts';
export { openUsageStore } from './usage-store/open-usage-store.ts';
export { UnknownRecordVersion } from './usage-store/usage-store.ts';
export type {
  Journal,
  JournalRefusal,
  JournalStatus,
  RecordsQuery,
  UsageBatch,
  UsageDimension,
  UsageQuery,
  UsageRow,
  UsageStore,
} from './ports.ts';
export type { LimitAnswer, LimitStatus, LimitStore, Settlement, TakeRequest } from './limits-port.ts';
export { keepApartFromTenants, NO_TENANT } from './limits/apart-from-tenants.ts';
export { createFleetLimits, FLEET_DEFAULTS, type FleetLimitsOptions } from './limits/fleet/fleet-limits.ts';
export { createMemoryLimits, type MemoryLimitsOptions } from './limits/memory-limits.ts';
export { openRedisLimits, type RedisLimits, type RedisLimitsOptions } from './limits/redis/open-redis-limits.ts';
export type { RefuseToStart } from './limits/redis/refuse-to-start.ts';
export type { SharedLimits } from './limits/shared-limits.ts';
