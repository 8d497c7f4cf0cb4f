import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { CannotStart } from '../create-engines.ts';
import type { Leftovers } from './leftovers.ts';
import { readRows } from './litellm-rows.ts';
import { budgetRow, keyRow, organizationRow, readTable, teamRow, userRow } from './litellm-tables.ts';
import type { LitellmTables } from './litellm-tenants.ts';

/** Files that hold LiteLLM's tables. */
export interface ExportFiles {
  readonly keys: string;
  readonly teams?: string;
  readonly users?: string;
  readonly organizations?: string;
  readonly budgets?: string;
}

/**
 * Reads an export whole. A table that other rows point to must be there: without it their limits would be lost in silence.
 * @throws CannotStart with the table that is missing, or the file and line that cannot be read
 */
export function readExport(files: ExportFiles, leftovers: Leftovers): LitellmTables {
  const tables: LitellmTables = {
    keys: readFile(files.keys, keyRow, leftovers),
    teams: readFile(files.teams, teamRow, leftovers),
    users: readFile(files.users, userRow, leftovers),
    organizations: readFile(files.organizations, organizationRow, leftovers),
    budgets: readFile(files.budgets, budgetRow, leftovers),
  };
  const { keys, teams, users, organizations } = tables;
  const personal = keys.filter((key) => key.team_id === null);
  need(
    files.teams,
    '--teams',
    keys.some((key) => key.team_id !== null),
    'keys have teams',
  );
  need(
    files.users,
    '--users',
    personal.some((key) => key.user_id !== null),
    'keys without a team have users',
  );
  need(
    files.organizations,
    '--organizations',
    [...keys, ...teams, ...users].some((row) => row.organization_id !== null),
    'rows have organizations',
  );
  need(
    files.budgets,
    '--budgets',
    [...keys, ...organizations].some((row) => row.budget_id !== null),
    'rows have budgets',
  );
  return tables;
}

function need(file: string | undefined, option: string, isNeeded: boolean, because: string): void {
  if (isNeeded && file === undefined)
    throw new CannotStart(`${because}: give that table with ${option}, or their limits would be lost`);
}

function readFile<T>(file: string | undefined, schema: z.ZodType<T>, leftovers: Leftovers): readonly T[] {
  if (file === undefined) return [];
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new CannotStart(
      `${file} cannot be read (${error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'})`,
    );
  }
  const rows = readRows(text);
  if (!rows.ok) throw new CannotStart(`${file}: ${rows.error}`);
  const table = readTable(rows.value, schema);
  for (const { row, because } of table.unread) leftovers.left(`row ${row} of ${file}`, because);
  return table.rows;
}
