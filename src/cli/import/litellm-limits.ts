import type { LimitOverrides } from '#contracts/tenancy';
import type { Leftovers } from './leftovers.ts';

interface LimitColumns {
  readonly max_budget: number | null;
  readonly budget_duration: string | null;
  readonly max_parallel_requests: number | null;
  readonly tpm_limit: number | null;
  readonly rpm_limit: number | null;
}

/** Which rule holds each of LiteLLM's limits at a level; null where none does. */
const RULES = {
  key: { rpm: 'rpm', tpm: 'tpm', concurrency: 'concurrency', spend: 'key-spend-month' },
  workspace: { rpm: 'workspace-rpm', tpm: 'workspace-tpm', concurrency: null, spend: 'workspace-spend-month' },
  organization: { rpm: null, tpm: null, concurrency: null, spend: 'spend-month' },
} as const;

interface Owner {
  readonly level: keyof typeof RULES;
  readonly name: string;
  /** Dollars that it has spent since its budget was last reset. */
  readonly spend: number;
}

/** LiteLLM's limits of one key, team or organization as overrides of our rules. What has no rule is reported. */
export function readLimits(columns: LimitColumns, owner: Owner, leftovers: Leftovers): LimitOverrides {
  const rules = RULES[owner.level];
  const limits: Record<string, { limit: number }> = {};
  for (const [rule, column, value] of [
    [rules.rpm, 'rpm_limit', columns.rpm_limit],
    [rules.tpm, 'tpm_limit', columns.tpm_limit],
    [rules.concurrency, 'max_parallel_requests', columns.max_parallel_requests],
  ] as const) {
    if (value === null) continue;
    if (rule === null) leftovers.left(owner.name, `${column}: no rule of the default configuration counts it per ${owner.level}`);
    else limits[rule] = { limit: value };
  }
  if (columns.max_budget !== null) {
    const { monthly, note } = monthlyBudget(columns.max_budget, columns.budget_duration, owner.spend);
    if (note !== null) leftovers.changed(owner.name, note);
    limits[rules.spend] = { limit: Math.min(1e12, Math.max(0, Math.round(monthly * 1e6))) };
  }
  return limits;
}

const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800, mo: 2_592_000 } as const;
const LONGEST_MONTH_SECONDS = 31 * SECONDS.d;

/**
 * The cap on a calendar month (UTC) that stands for a budget. Budgets of 30 days begin anew on the first of a month there too.
 * @param dollars - what may be spent in each `duration`, or in all when that is null
 */
export function monthlyBudget(
  dollars: number,
  duration: string | null,
  spent: number,
): { readonly monthly: number; readonly note: string | null } {
  if (duration === null)
    return {
      monthly: Math.max(0, dollars - spent),
      note: 'a budget for good became one for a month, of what was left of it: it begins anew next month',
    };
  const [, count = '', unit = ''] = /^(\d+)(mo|[smhdw])$/.exec(duration) ?? [];
  const seconds = Number(count) * (SECONDS[unit as keyof typeof SECONDS] ?? 0);
  if (!(seconds > 0))
    return { monthly: dollars, note: `the budget's duration ${JSON.stringify(duration)} is not known; it became a month` };
  if (seconds === SECONDS.mo) return { monthly: dollars, note: null };
  if (seconds > SECONDS.mo)
    return {
      monthly: (dollars * SECONDS.mo) / seconds,
      note: `a budget for ${duration} became an equal share of it for each month`,
    };
  return {
    monthly: dollars * Math.ceil(LONGEST_MONTH_SECONDS / seconds),
    note: `a budget for ${duration} became one for a month, of as many of them as the longest month holds: more of it can be spent at once`,
  };
}
