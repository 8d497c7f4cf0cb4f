import { z } from 'zod';
import { parseJson, type Row } from './litellm-rows.ts';

/**
 * The columns of LiteLLM's tables that matter here, however they were exported: `t` or true, `{a,"b c"}` or an array, JSON as
 * JSON, as its text, or as a JSON string that holds the text. A column that an older version lacks is null.
 * Source: the migrations of LiteLLM's own schema (`litellm_proxy_extras/migrations`), as of early 2026.
 */
const text = z
  .string()
  .nullish()
  .transform((value) => (value === '' ? null : (value ?? null)));
const number = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^-?\d+(\.\d+)?([eE][+-]?\d+)?$/)
      .transform(Number),
  ])
  .nullish()
  .transform((value) => value ?? null);
const count = number.transform((value) => (value === null ? null : Math.min(1e12, Math.max(0, Math.floor(value)))));
const spend = number.transform((value) => value ?? 0);
const flag = z
  .union([z.boolean(), z.enum(['t', 'true', 'f', 'false']).transform((value) => value.startsWith('t'))])
  .nullish()
  .transform((value) => value ?? false);
const list = z.preprocess(
  (value) => (typeof value === 'string' ? (value.startsWith('[') ? parseJson(value) : readArray(value)) : value),
  z
    .array(z.string().nullable())
    .nullish()
    .transform((value) => (value ?? []).filter((item) => item !== null && item !== '') as string[]),
);
const json = z.preprocess(
  (value) => unwrap(unwrap(value)) ?? {},
  z.union([z.record(z.string(), z.unknown()), z.array(z.unknown()).transform(() => ({}))]),
);
/** A time without a zone is UTC: that is what Prisma writes. */
const moment = text.transform((value, context) => {
  if (value === null) return null;
  const iso = value.replace(' ', 'T').replace(/(T.*[+-]\d\d)$/, '$1:00');
  const ms = Date.parse(/(Z|T.*[+-]\d\d:\d\d)$/.test(iso) || !iso.includes('T') ? iso : `${iso}Z`);
  if (Number.isFinite(ms)) return ms;
  context.addIssue('not a time');
  return z.NEVER;
});

const limits = { max_budget: number, budget_duration: text, max_parallel_requests: count, tpm_limit: count, rpm_limit: count };

export const budgetRow = z.object({ budget_id: z.string(), soft_budget: number, model_max_budget: json, ...limits });
export const organizationRow = z.object({
  organization_id: z.string(),
  organization_alias: text,
  budget_id: text,
  models: list,
  spend,
  created_at: moment,
});
export const teamRow = z.object({
  team_id: z.string(),
  team_alias: text,
  organization_id: text,
  models: list,
  blocked: flag,
  soft_budget: number,
  spend,
  metadata: json,
  model_max_budget: json,
  model_id: number,
  access_group_ids: list,
  created_at: moment,
  updated_at: moment,
  ...limits,
});
export const userRow = z.object({
  user_id: z.string(),
  user_alias: text,
  user_email: text,
  user_role: text,
  organization_id: text,
  models: list,
  spend,
  model_max_budget: json,
  created_at: moment,
  ...limits,
});
export const keyRow = z.object({
  token: z.string(),
  key_name: text,
  key_alias: text,
  expires: moment,
  models: list,
  aliases: json,
  config: json,
  permissions: json,
  metadata: json,
  model_max_budget: json,
  router_settings: json,
  user_id: text,
  team_id: text,
  project_id: text,
  organization_id: text,
  budget_id: text,
  blocked: flag,
  spend,
  allowed_routes: list,
  access_group_ids: list,
  auto_rotate: flag,
  created_at: moment,
  updated_at: moment,
  ...limits,
});

export type BudgetRow = z.infer<typeof budgetRow>;
export type OrganizationRow = z.infer<typeof organizationRow>;
export type TeamRow = z.infer<typeof teamRow>;
export type UserRow = z.infer<typeof userRow>;
export type KeyRow = z.infer<typeof keyRow>;

/** The rows that could be read, and for each other one its number (from 1) and the columns that could not; never their values. */
export function readTable<T>(
  rows: readonly Row[],
  schema: z.ZodType<T>,
): { readonly rows: readonly T[]; readonly unread: readonly { readonly row: number; readonly because: string }[] } {
  const read: T[] = [];
  const unread: { row: number; because: string }[] = [];
  for (const [at, row] of rows.entries()) {
    const parsed = schema.safeParse(row);
    if (parsed.success) read.push(parsed.data);
    else {
      const columns = parsed.error.issues.map(({ path }) => path.join('.')).join(', ');
      unread.push({ row: at + 1, because: `these columns are not what LiteLLM's table holds: ${columns}` });
    }
  }
  return { rows: read, unread };
}

/** PostgreSQL's text form of a one-dimensional array: `{a,"b c",NULL}`. */
function readArray(value: string): unknown {
  if (value === '') return null;
  if (!value.startsWith('{') || !value.endsWith('}')) return value;
  const items = value.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|([^,]+)/g);
  return Array.from(items, ([, quoted, plain]) =>
    quoted === undefined ? (plain === 'NULL' ? null : plain) : quoted.replaceAll(/\\(.)/g, '$1'),
  );
}

const unwrap = (value: unknown): unknown => (typeof value === 'string' ? (value === '' ? null : parseJson(value)) : value);
