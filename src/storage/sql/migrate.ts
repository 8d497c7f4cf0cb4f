import { invariant } from '#core/kernel';
import type { SqlDatabase } from './sql.ts';

/** Thrown for a database that a newer Plimsoll has changed: an older one must not write into it. */
export class NewerSchema extends Error {
  override readonly name = 'NewerSchema';
}

/**
 * Brings the tables of one part of the house to its newest version, in one transaction; several processes may do so at once.
 * @param steps - step n makes version n + 1 out of version n; steps are only ever added
 */
export async function migrate(database: SqlDatabase, part: string, steps: readonly string[]): Promise<void> {
  await database.transaction(async (sql) => {
    // "create table if not exists" of two processes can collide, so the lock comes first. The number is arbitrary, and ours.
    await sql.query('select pg_advisory_xact_lock(7261505)');
    await sql.query(
      'create table if not exists plimsoll_schema (part text primary key, version int not null, changed_at timestamptz not null)',
    );
    const [row] = await sql.query('select version from plimsoll_schema where part = $1', [part]);
    const version = row === undefined ? 0 : Number(row.version);
    if (version > steps.length) {
      throw new NewerSchema(
        `the ${part} tables have version ${version}, and this Plimsoll knows ${steps.length}: start the version that wrote them`,
      );
    }
    for (const step of steps.slice(version)) await sql.query(step);
    invariant(steps.length > 0, 'a part of the schema has at least one step');
    await sql.query(
      'insert into plimsoll_schema values ($1, $2, now()) on conflict (part) do update set version = excluded.version, changed_at = now() where plimsoll_schema.version <> excluded.version',
      [part, steps.length],
    );
  });
}
