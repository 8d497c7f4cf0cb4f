import { createHash } from 'node:crypto';
import { invariant } from '#core/kernel';
import type { AuditDraft, AuditEntry, AuditQuery } from '../control-port.ts';
import type { Sql, SqlDatabase, SqlRow } from '../sql/sql.ts';

const PAGE = 1_000;

/** Writes the entry of a commit. @returns its hash, which the entry after it will cover */
export async function appendAudit(sql: Sql, entry: Omit<AuditEntry, 'hash'>, previousHash: string): Promise<string> {
  const hash = hashOf(entry, previousHash);
  await sql.query('insert into control_audit values ($1, $2, $3, $4)', [
    entry.sequence,
    entry.organization,
    JSON.stringify(entry),
    hash,
  ]);
  return hash;
}

export async function readAudit(sql: Sql, { organization, after, max }: AuditQuery): Promise<readonly AuditEntry[]> {
  invariant(Number.isInteger(max) && max >= 1 && max <= PAGE, `a page of the audit log has 1 to ${PAGE} entries`);
  const [filter, parameters] = organization === null ? ['', [after, max]] : ['and organization = $3', [after, max, organization]];
  const rows = await sql.query(
    `select entry::text as entry, hash from control_audit where sequence > $1 ${filter} order by sequence limit $2`,
    parameters,
  );
  return rows.map((row) => ({ ...entryOf(row), hash: String(row.hash) }));
}

/**
 * Walks the chain from its first entry: each must have the number after the one before, its own words and its hash. The head is
 * read first, so commits that come meanwhile are left to the next check, and entries missing at the end are noticed.
 */
export async function verifyAudit(
  database: SqlDatabase,
): Promise<{ readonly entries: number; readonly brokenAt: number | null }> {
  const [head] = await database.query(HEAD);
  const last = Number(head?.newest);
  let hash = '';
  let next = 1;
  while (next <= last) {
    const rows = await database.query(
      'select sequence, organization, entry::text as entry, hash from control_audit where sequence >= $1 and sequence <= $2 order by sequence limit $3',
      [next, last, PAGE],
    );
    if (rows.length === 0) break;
    for (const row of rows) {
      if (!isNext(row, next, hash)) return { entries: next - 1, brokenAt: next };
      hash = String(row.hash);
      next++;
    }
  }
  const isWhole = next > last && hash === head?.hash && last === Number(head?.commit);
  return { entries: next - 1, brokenAt: isWhole ? null : Math.min(next, Math.max(last, 1)) };
}

/** One statement, of one moment. What lies beyond the head was never committed, or the head was set back. */
const HEAD = `
  select commit, hash, greatest(commit, (select max(sequence) from control_audit), (select max(commit) from control_object)) as newest
  from control_head`;

function isNext(row: SqlRow, sequence: number, previousHash: string): boolean {
  const entry = entryOf(row);
  return (
    Number(row.sequence) === sequence &&
    entry.sequence === sequence &&
    // The column decides who sees an entry, so it may not say something else.
    entry.organization === row.organization &&
    row.hash === hashOf(entry, previousHash)
  );
}

/** Ours: written by `appendAudit`, and never parsed by anyone but the reader of its hash. */
function entryOf(row: SqlRow): Omit<AuditEntry, 'hash'> {
  return JSON.parse(String(row.entry)) as Omit<AuditEntry, 'hash'>;
}

function hashOf(entry: Omit<AuditEntry, 'hash'>, previousHash: string): string {
  return createHash('sha256').update(previousHash).update('\n').update(canonical(entry)).digest('hex');
}

/** JSON with the names of every object in order. Source: RFC 8785, for the values that an entry has. */
function canonical(entry: Omit<AuditEntry, 'hash'> | AuditDraft['details']): string {
  const parts = Object.entries(entry)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]: [string, unknown]) => {
      const text =
        name === 'details' && typeof value === 'object' ? canonical(value as AuditDraft['details']) : JSON.stringify(value);
      return `${JSON.stringify(name)}:${text}`;
    });
  return `{${parts.join(',')}}`;
}
