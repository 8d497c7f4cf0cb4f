export { createDiskFiles } from './journal/files.ts';
export { createJournal, type JournalOptions, type OpenJournal } from './journal/journal.ts';
export { createJournalReader, type JournalPiece, type JournalReader } from './journal/reader.ts';
export type { JournalEvent } from './journal/event.ts';
export { DirectoryInUse, lockDirectory, type DirectoryLock } from './lock-directory.ts';
export { openUsageStore, type UsageStorePlace } from './usage-store/open-usage-store.ts';
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
