export { createJournal, type JournalOptions, type OpenJournal } from './journal/journal.ts';
export type { JournalEvent } from './journal/event.ts';
export { DirectoryInUse, lockDirectory, type DirectoryLock } from './lock-directory.ts';
export type { Journal, JournalRefusal, JournalStatus, UsageBatch, UsageQuery, UsageRow, UsageStore } from './ports.ts';
