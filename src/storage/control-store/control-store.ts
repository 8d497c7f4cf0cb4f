import { invariant } from '#core/kernel';
import { tenantObjectSchema, type TenantObject, type TenantObjectKind } from '#contracts/tenancy';
import type { ChangePage, ControlChange, ControlStore, GatewaySeen, ListQuery, Versioned } from '../control-port.ts';
import { migrate } from '../sql/migrate.ts';
import type { Sql, SqlDatabase, SqlRow } from '../sql/sql.ts';
import { appendAudit, readAudit, verifyAudit } from './audit.ts';
import { CONTROL_SCHEMA } from './schema.ts';

export interface ControlStoreOptions {
  /** Told of every object that cannot be read and is therefore not answered: by a newer version, or changed by hand. */
  readonly onUnreadable?: (object: { readonly kind: string; readonly id: string; readonly because: string }) => void;
  /** Listens for commits of other processes; without it only those made through this store wake anyone. */
  readonly listen?: (wake: () => void) => Promise<() => Promise<void>>;
}

type Typed<K extends TenantObjectKind> = Extract<TenantObject, { readonly kind: K }>;

/** The channel on which commits are told; what is told is only that there was one. */
export const COMMIT_CHANNEL = 'plimsoll_control';

const PUT_MAX = 1_000;
const PAGE_MAX = 1_000;
/** A gateway that was not heard of for so long is forgotten. */
const FORGET_GATEWAY = '7 days';

/** The control store over any PostgreSQL, its tables brought to their newest version first. Closes the database when closed. */
export async function createControlStore(database: SqlDatabase, options: ControlStoreOptions = {}): Promise<ControlStore> {
  await migrate(database, 'control', CONTROL_SCHEMA);
  const wakes = new Set<() => void>();
  const read = createReader(options);
  return {
    async commit(change) {
      const answer = await commit(database, change);
      if (answer.kind === 'committed') for (const wake of wakes) wake();
      return answer;
    },
    async get(kind, id) {
      const [row] = await database.query(`select ${COLUMNS} from control_object where kind = $1 and id = $2`, [kind, id]);
      return row === undefined ? null : read(row, kind);
    },
    list: (query) => list(database, query, read),
    changesAfter: (commitNumber, kinds, max) => changesAfter(database, { after: commitNumber, kinds, max }, read),
    audit: (query) => readAudit(database, query),
    verifyAudit: () => verifyAudit(database),
    async heartbeat({ id, name, commit: applied }) {
      await database.query(HEARTBEAT, [id, name, applied]);
    },
    async depart(id) {
      await database.query('delete from control_gateway where id = $1', [id]);
    },
    gateways: (withinMs) => gateways(database, withinMs),
    async watch(wake) {
      wakes.add(wake);
      const unlisten = await options.listen?.(wake);
      return async () => {
        wakes.delete(wake);
        await unlisten?.();
      };
    },
    persist: () => database.persist(),
    async close() {
      wakes.clear();
      await database.close();
    },
  };
}

type Reader = <K extends TenantObjectKind>(row: SqlRow, kind: K) => Versioned<Typed<K>> | null;

const COLUMNS = 'kind, id, version, commit, body::text as body';

function createReader({ onUnreadable }: ControlStoreOptions): Reader {
  return (row, kind) => {
    const parsed = tenantObjectSchema.safeParse(JSON.parse(String(row.body)));
    if (parsed.success && isOf(parsed.data, kind) && parsed.data.id === row.id)
      return { object: parsed.data, version: Number(row.version), commit: Number(row.commit) };
    // Paths only: a value may be anything.
    const because = parsed.success ? 'kind or id' : parsed.error.issues.map(({ path }) => path.join('.') || '(whole)').join(', ');
    onUnreadable?.({ kind, id: String(row.id), because });
    return null;
  };
}

function isOf<K extends TenantObjectKind>(object: TenantObject, kind: K): object is Typed<K> {
  return object.kind === kind;
}

async function commit(database: SqlDatabase, { put, audit }: ControlChange): ReturnType<ControlStore['commit']> {
  invariant(put.length <= PUT_MAX, `a commit puts at most ${PUT_MAX} objects`);
  const ids = new Set(put.map(({ object }) => `${object.kind} ${object.id}`));
  invariant(ids.size === put.length, 'a commit puts an object once');
  const rows = JSON.stringify(
    put.map(({ object, expectVersion }, place) => ({
      place,
      kind: object.kind,
      id: object.id,
      organization: object.organization,
      expect: expectVersion,
      // A text of its own: what is in it may hold characters that JSON can say and a column cannot.
      body: JSON.stringify(tenantObjectSchema.parse(object)),
    })),
  );
  return database.transaction(async (sql) => {
    // Held until the end: commits come one after another, and whoever sees one sees all before it.
    const [head] = await sql.query('select commit, hash from control_head for update');
    const [conflict] = await sql.query(FIND_CONFLICT, [rows]);
    if (conflict !== undefined) return { kind: 'conflict', id: String(conflict.id) };
    const next = Number(head?.commit) + 1;
    await sql.query(PUT, [rows, next]);
    const hash = await appendAudit(sql, { sequence: next, commit: next, ...pickDraft(audit) }, String(head?.hash));
    await sql.query('update control_head set commit = $1, hash = $2', [next, hash]);
    await sql.query(`select pg_notify('${COMMIT_CHANNEL}', '')`);
    return { kind: 'committed', commit: next };
  });
}

/** The draft's own fields and no others: what is hashed is what the log promises. */
function pickDraft({ atMs, actor, act, organization, subject, details }: ControlChange['audit']): ControlChange['audit'] {
  return { atMs, actor, act, organization, subject, details };
}

const INCOMING = `json_to_recordset($1::json) as put (place int, kind text, id text, organization text, expect bigint, body text)`;

const FIND_CONFLICT = `
  select put.id from ${INCOMING}
  left join control_object old on old.kind = put.kind and old.id = put.id
  where coalesce(old.version, 0) <> put.expect order by put.place limit 1`;

const PUT = `
  insert into control_object
  select kind, id, organization, expect + 1, $2::bigint, body::json from ${INCOMING}
  on conflict (kind, id) do update set
    organization = excluded.organization, version = excluded.version, commit = excluded.commit, body = excluded.body`;

async function list<K extends TenantObjectKind>(
  sql: Sql,
  { kind, organization, after, max }: ListQuery<K>,
  read: Reader,
): Promise<readonly Versioned<Typed<K>>[]> {
  invariant(Number.isInteger(max) && max >= 1 && max <= PAGE_MAX, `a page has 1 to ${PAGE_MAX} objects`);
  const found: Versioned<Typed<K>>[] = [];
  let last = after ?? '';
  // Those that cannot be read are not in the page, so one query may not fill it.
  for (;;) {
    const wanted = max - found.length;
    const [filter, parameters] = organization === null ? ['', []] : ['and organization = $4', [organization]];
    const rows = await sql.query(
      `select ${COLUMNS} from control_object where kind = $1 and id > $2 ${filter} order by id limit $3`,
      [kind, last, wanted, ...parameters],
    );
    for (const row of rows) {
      const object = read(row, kind);
      if (object) found.push(object);
      last = String(row.id);
    }
    if (rows.length < wanted || found.length === max) return found;
  }
}

async function changesAfter(
  sql: Sql,
  { after, kinds, max }: { readonly after: number; readonly kinds: readonly TenantObjectKind[]; readonly max: number },
  read: Reader,
): Promise<ChangePage> {
  invariant(Number.isInteger(max) && max >= 1 && max <= PAGE_MAX, `a page has 1 to ${PAGE_MAX} changes`);
  const rows = await sql.query(CHANGES, [after, kinds.join(','), max]);
  const changed = rows.filter((row) => row.id !== null);
  const objects: Versioned<TenantObject>[] = [];
  const unreadable: ChangePage['unreadable'][number][] = [];
  for (const row of changed) {
    const kind = kinds.find((name) => name === row.kind);
    invariant(kind !== undefined, 'only what was asked for is answered');
    const object = read(row, kind);
    if (object) objects.push(object);
    else unreadable.push({ kind, id: String(row.id) });
  }
  const head = Number(rows[0]?.head_commit);
  const isPage = changed.length >= max;
  const throughCommit = isPage ? Number(changed.at(-1)?.commit) : head;
  const hasMore = throughCommit < head;
  return {
    objects,
    unreadable,
    throughCommit,
    throughHash: hasMore ? await hashAt(sql, throughCommit) : String(rows[0]?.head_hash),
    hasMore,
  };
}

/** One statement, so that the head and the changes before it are of one moment. */
const CHANGES = `
  select head.commit as head_commit, head.hash as head_hash, changed.kind, changed.id, changed.version, changed.commit, changed.body
  from control_head head left join (
    select ${COLUMNS} from control_object
    where commit > $1 and kind = any(string_to_array($2, ','))
    order by commit fetch first $3 rows with ties
  ) changed on true
  order by changed.commit, changed.kind, changed.id`;

async function hashAt(sql: Sql, commitNumber: number): Promise<string> {
  const [row] = await sql.query('select hash from control_audit where sequence = $1', [commitNumber]);
  return row === undefined ? '' : String(row.hash);
}

const HEARTBEAT = `
  with forgotten as (delete from control_gateway where seen_at < clock_timestamp() - interval '${FORGET_GATEWAY}' and id <> $1)
  insert into control_gateway values ($1, $2, $3, clock_timestamp())
  on conflict (id) do update set name = excluded.name, commit = excluded.commit, seen_at = excluded.seen_at`;

async function gateways(sql: Sql, withinMs: number): Promise<readonly GatewaySeen[]> {
  const rows = await sql.query(
    `select id, name, commit, greatest(0, floor(extract(epoch from clock_timestamp() - seen_at) * 1000))::bigint as ago
     from control_gateway where seen_at >= clock_timestamp() - $1::bigint * interval '1 millisecond' order by id`,
    [withinMs],
  );
  return rows.map((row) => ({
    id: String(row.id),
    name: String(row.name),
    commit: Number(row.commit),
    seenMsAgo: Number(row.ago),
  }));
}
