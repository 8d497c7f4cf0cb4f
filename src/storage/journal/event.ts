/** What the journal tells its operator: each is worth a log line, and carries one that has no content in it. */
export type JournalEvent = { readonly level: 'info' | 'warn' | 'error'; readonly message: string } & (
  | { readonly kind: 'torn_tail'; readonly segment: string; readonly atByte: number }
  | { readonly kind: 'damaged'; readonly segment: string; readonly recordsLostMax: number }
  | { readonly kind: 'failed'; readonly because: string }
  | { readonly kind: 'recovered' }
  | { readonly kind: 'lost'; readonly records: number }
  | { readonly kind: 'set_aside'; readonly segment: string }
);

/** A file system's failure in words that an operator can act on. */
export function describeFailure(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : null;
  if (code === 'ENOSPC') return 'no space left on the device (ENOSPC): free some, it is tried again by itself';
  if (code === 'EDQUOT') return 'the disk quota is used up (EDQUOT): raise it or free some, it is tried again by itself';
  if (code === 'EIO') return 'the device reports an input/output error (EIO): check the disk';
  if (code === 'EROFS') return 'the file system is mounted read-only (EROFS)';
  return error instanceof Error ? error.message : String(error);
}
