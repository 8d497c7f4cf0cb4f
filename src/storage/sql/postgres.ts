import pg from 'pg';
import type { Sql, SqlDatabase } from './sql.ts';

export interface PostgresBounds {
  /** The most connections, 1 up; 2 when absent. */
  readonly connectionsMax?: number;
  /** The longest that a connection or a statement may take, ms; 10,000 when absent. */
  readonly timeoutMs?: number;
}

export interface PostgresOptions extends PostgresBounds {
  /** `postgres://user@host/database`; the password may come from the URL, `PGPASSWORD` or a password file. */
  readonly url: string;
  /** Where the tables are; made when missing. The server's own default when absent. */
  readonly schema?: string;
}

const TIMEOUT_MS = 10_000;

/** A served PostgreSQL, 15 or newer. Every wait has a bound, so that a server that hangs is a failure and not a silence. */
export async function openPostgres(options: PostgresOptions): Promise<SqlDatabase> {
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.connectionsMax ?? 2,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
    statement_timeout: timeoutMs,
    application_name: 'plimsoll',
    ...(options.schema === undefined ? {} : { options: `-c search_path=${quoted(options.schema)}` }),
  });
  // An idle connection that breaks is replaced by the pool when it is needed next; the query then says what is wrong.
  pool.on('error', () => undefined);
  const database: SqlDatabase = {
    query: (text, parameters) => queryOn(pool, text, parameters),
    transaction: (work) => transaction(pool, work),
    // A commit that was answered is on the server's disk already.
    persist: () => Promise.resolve(),
    close: () => pool.end(),
  };
  try {
    if (options.schema !== undefined) await createSchema(database, options.schema);
    else await database.query('select 1');
  } catch (error) {
    await pool.end();
    throw error;
  }
  return database;
}

/** "create schema if not exists" of two processes can collide, so the lock of migrations comes first. */
async function createSchema(database: SqlDatabase, schema: string): Promise<void> {
  await database.transaction(async (sql) => {
    await sql.query('select pg_advisory_xact_lock(7261505)');
    await sql.query(`create schema if not exists ${quoted(schema)}`);
  });
}

async function transaction<T>(pool: pg.Pool, work: (sql: Sql) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let failure: Error | undefined;
  try {
    await client.query('begin');
    const result = await work({ query: (text, parameters) => queryOn(client, text, parameters) });
    await client.query('commit');
    return result;
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
    throw error;
  } finally {
    // A client released with an error is destroyed, and its transaction with it: nothing of it can leak into the next.
    client.release(failure);
  }
}

async function queryOn(
  on: pg.Pool | pg.PoolClient,
  text: string,
  parameters: readonly unknown[] = [],
): Promise<readonly { readonly [column: string]: unknown }[]> {
  return (await on.query<{ [column: string]: unknown }>(text, parameters.slice())).rows;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
