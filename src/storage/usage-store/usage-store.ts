import { invariant, unreachable } from '#core/kernel';
import { DAY_MS, rollUp } from '#core/usage';
import type { UsageRecord } from '#contracts/record';
import type { RecordsQuery, UsageBatch, UsageDimension, UsageQuery, UsageRow, UsageStore } from '../ports.ts';
import { packBlock, unpackBlock } from './block.ts';
import { migrate } from '../sql/migrate.ts';
import { USAGE_SCHEMA } from './schema.ts';
import type { Sql, SqlDatabase, SqlRow } from '../sql/sql.ts';

/** A record that a newer Plimsoll wrote: it is not counted wrongly, it waits for one that knows it. */
export class UnknownRecordVersion extends Error {
  override readonly name = 'UnknownRecordVersion';
}

/** The usage store over any PostgreSQL, its tables brought to their newest version first. Closes the database when closed. */
export async function createUsageStore(database: SqlDatabase): Promise<UsageStore> {
  await migrate(database, 'usage', USAGE_SCHEMA);
  return {
    apply: (batch) => apply(database, batch),
    position: async (journal) => (await readPosition(database, journal, '')) ?? 0,
    usage: (query) => usage(database, query),
    records: (query) => records(database, query),
    forget: (beforeMs) => forget(database, beforeMs),
    persist: () => database.persist(),
    close: () => database.close(),
  };
}

async function apply(database: SqlDatabase, batch: UsageBatch): Promise<'applied' | 'already' | 'gap'> {
  const span = { count: 0, firstAtMs: Number.MAX_SAFE_INTEGER, lastAtMs: 0 };
  const totals = JSON.stringify(rollUp(measured(parseLines(batch.lines), span)));
  invariant(span.count === batch.count, `a batch said to have ${batch.count} records has ${span.count}`);
  return database.transaction(async (sql) => {
    await sql.query('insert into usage_journal values ($1, 0, 0) on conflict do nothing', [batch.journal]);
    // The lock makes two appliers of one journal wait for each other, so that the second sees what the first has done.
    const position = (await readPosition(sql, batch.journal, 'for update')) ?? 0;
    if (position >= batch.to) return 'already';
    if (position !== batch.from) return 'gap';
    if (batch.count > 0) {
      const block = [batch.journal, batch.from, batch.count, span.firstAtMs, span.lastAtMs, packBlock(batch.lines)];
      await sql.query("insert into usage_block values ($1, $2, $3, $4, $5, decode($6, 'base64'))", block);
      await sql.query(ADD_TOTALS, [totals]);
    }
    const lost = batch.to - batch.from - batch.count;
    const moved = [batch.journal, batch.to, lost];
    await sql.query('update usage_journal set position = $2, records_lost = records_lost + $3 where id = $1', moved);
    return 'applied';
  });
}

/** Passes records through, and notes how many they were and when. */
function* measured(
  records: Iterable<UsageRecord>,
  span: { count: number; firstAtMs: number; lastAtMs: number },
): Generator<UsageRecord> {
  for (const record of records) {
    span.count++;
    span.firstAtMs = Math.min(span.firstAtMs, record.atMs);
    span.lastAtMs = Math.max(span.lastAtMs, record.atMs);
    yield record;
  }
}

/** One record at a time, so that none outlives its turn. JSON holds no raw line feed. */
function* parseLines(lines: Uint8Array): Generator<UsageRecord> {
  const bytes = Buffer.from(lines.buffer, lines.byteOffset, lines.byteLength);
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf(0x0a, at);
    invariant(end >= 0, 'every record of a batch ends in a line feed');
    const record = JSON.parse(bytes.toString('utf8', at, end)) as UsageRecord;
    if (record.version !== 1) throw new UnknownRecordVersion(`usage record ${record.id} has version ${String(record.version)}`);
    yield record;
    at = end + 1;
  }
}

const ADD_TOTALS = `
  insert into usage_day
  select day, organization, workspace, key, model, outcome,
    requests, input, "cacheRead", "cacheWrite", output, estimated, "costMicroUsd", unpriced
  from json_to_recordset($1::json) as added (
    day int, organization text, workspace text, key text, model text, outcome text, requests bigint, input bigint,
    "cacheRead" bigint, "cacheWrite" bigint, output bigint, estimated bigint, "costMicroUsd" bigint, unpriced bigint
  )
  on conflict (day, organization, workspace, key, model, outcome) do update set
    requests = usage_day.requests + excluded.requests,
    input = usage_day.input + excluded.input,
    cache_read = usage_day.cache_read + excluded.cache_read,
    cache_write = usage_day.cache_write + excluded.cache_write,
    output = usage_day.output + excluded.output,
    estimated = usage_day.estimated + excluded.estimated,
    cost_micro_usd = usage_day.cost_micro_usd + excluded.cost_micro_usd,
    unpriced = usage_day.unpriced + excluded.unpriced`;

async function readPosition(sql: Sql, journal: string, lock: '' | 'for update'): Promise<number | null> {
  const [row] = await sql.query(`select position from usage_journal where id = $1 ${lock}`, [journal]);
  return row === undefined ? null : Number(row.position);
}

async function usage(sql: Sql, query: UsageQuery): Promise<readonly UsageRow[]> {
  const by = [...new Set(query.groupBy)];
  const columns = by.map(columnOf);
  const group =
    columns.length === 0
      ? ''
      : `group by ${columns.join(', ')} order by ${columns.map((column) => `${column} nulls first`).join(', ')}`;
  const rows = await sql.query(
    `select ${[...columns, TOTALS].join(', ')} from usage_day
     where day >= $1 and day < $2 and ($3::text is null or organization = $3) ${group}`,
    [Math.floor(query.fromMs / DAY_MS), Math.ceil(query.toMs / DAY_MS), query.organization],
  );
  return rows.filter((row) => row.requests !== null).map((row) => toUsageRow(row, by));
}

const TOTALS = `
  sum(requests)::bigint as requests,
  coalesce(sum(requests) filter (where outcome in ('failed', 'broken')), 0)::bigint as failures,
  sum(input)::bigint as input, sum(cache_read)::bigint as cache_read, sum(cache_write)::bigint as cache_write,
  sum(output)::bigint as output, sum(estimated)::bigint as estimated,
  sum(cost_micro_usd)::bigint as cost_micro_usd, sum(unpriced)::bigint as unpriced`;

/** Only these names ever enter the text of a query. */
function columnOf(dimension: UsageDimension): string {
  switch (dimension) {
    case 'organization':
    case 'workspace':
    case 'key':
    case 'model':
    case 'day':
    case 'outcome':
      return dimension;
    default:
      return unreachable(dimension);
  }
}

function toUsageRow(row: SqlRow, by: readonly UsageDimension[]): UsageRow {
  const requests = Number(row.requests);
  const unpriced = Number(row.unpriced);
  return {
    group: Object.fromEntries(by.map((dimension) => [dimension, groupValue(dimension, row[dimension])])),
    requests,
    failures: Number(row.failures),
    input: Number(row.input),
    cacheRead: Number(row.cache_read),
    cacheWrite: Number(row.cache_write),
    output: Number(row.output),
    estimated: Number(row.estimated),
    costMicroUsd: unpriced === requests ? null : Number(row.cost_micro_usd),
    unpriced,
  };
}

function groupValue(dimension: UsageDimension, value: unknown): string | null {
  if (dimension === 'day') return new Date(Number(value) * DAY_MS).toISOString().slice(0, 10);
  return typeof value === 'string' ? value : null;
}

async function records(sql: Sql, query: RecordsQuery): Promise<readonly UsageRecord[]> {
  const found: UsageRecord[] = [];
  // One block at a time: a block is at most a few megabytes, a day of them is not. Blocks hold everyone's records, so how many
  // must be read to find one organization's is not known beforehand.
  let after: readonly [number, string, number] = [query.fromMs, '', -1];
  while (found.length < query.recordsMax) {
    const [block] = await sql.query(NEXT_BLOCK, [...after, query.toMs]);
    if (block === undefined) break;
    after = [Number(block.last_at_ms), String(block.journal), Number(block.first_sequence)];
    for (const record of parseLines(unpackBlock(String(block.payload)))) {
      const isAsked =
        record.atMs >= query.fromMs &&
        record.atMs < query.toMs &&
        (query.organization === null || record.organization === query.organization);
      if (isAsked && found.length < query.recordsMax) found.push(record);
    }
  }
  return found;
}

const NEXT_BLOCK = `
  select last_at_ms, journal, first_sequence, encode(payload, 'base64') as payload from usage_block
  where (last_at_ms, journal, first_sequence) > ($1, $2, $3) and first_at_ms < $4
  order by last_at_ms, journal, first_sequence limit 1`;

async function forget(database: SqlDatabase, beforeMs: number): Promise<number> {
  const [gone] = await database.query(
    'with gone as (delete from usage_block where last_at_ms < $1 returning 1) select count(*)::int as blocks from gone',
    [beforeMs],
  );
  const blocks = Number(gone?.blocks);
  // The embedded engine has no vacuum of its own: without this the space would never be used again.
  if (blocks > 0) await database.query('vacuum usage_block');
  return blocks;
}
