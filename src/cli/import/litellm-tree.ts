import { createHash } from 'node:crypto';
import type { Leftovers } from './leftovers.ts';
import { readLimits } from './litellm-limits.ts';
import { bothAllow, readAllowed, type Allowed } from './litellm-models.ts';
import type { BudgetRow, KeyRow, OrganizationRow, TeamRow, UserRow } from './litellm-tables.ts';
import type { ImportedOrganization, ImportedWorkspace, LitellmTables, TenantOptions } from './litellm-tenants.ts';
import { reportTeam } from './litellm-unsupported.ts';

export interface Place {
  readonly workspace: ImportedWorkspace;
  /** What its workspace and organization allow. */
  readonly allowed: Allowed;
}

export interface LitellmTree {
  /** Where a key belongs, or why it cannot be carried over. */
  readonly placeOf: (row: KeyRow) => Place | string;
  /** A row with the limits of its budget where it says none itself. */
  readonly withBudget: <T extends Limited>(row: T, label: string) => T;
  /** All organizations, then all workspaces, that were read or asked for. */
  readonly objects: () => readonly (ImportedOrganization | ImportedWorkspace)[];
}

type Limited = Pick<BudgetRow, 'max_budget' | 'budget_duration' | 'max_parallel_requests' | 'tpm_limit' | 'rpm_limit'> & {
  readonly budget_id: string | null;
};

/** Organizations and workspaces as LiteLLM's tables make them; those that only keys imply are made when asked for. */
export function createTree(tables: LitellmTables, options: TenantOptions, leftovers: Leftovers): LitellmTree {
  const budgets = new Map(tables.budgets.map((row) => [row.budget_id, row]));
  const organizations = new Map<string, { readonly object: ImportedOrganization; readonly allowed: Allowed }>();
  const teams = new Map<string, Place>();
  const users = new Map(tables.users.map((row) => [row.user_id, row]));
  const others = new Map<string, Place>();
  for (const row of tables.organizations) organizations.set(row.organization_id, readOrganization(row));
  for (const row of tables.teams) teams.set(row.team_id, readTeam(row));

  return {
    withBudget,
    placeOf: (row) =>
      row.team_id === null
        ? personalPlace(row)
        : (teams.get(row.team_id) ?? 'its team is not in the exported table; LiteLLM refuses such a key too'),
    objects: () => [
      ...Array.from(organizations.values(), ({ object }) => object),
      ...Array.from([...teams.values(), ...others.values()], ({ workspace }) => workspace),
    ],
  };

  function readOrganization(row: OrganizationRow): { readonly object: ImportedOrganization; readonly allowed: Allowed } {
    const name = (row.organization_alias ?? row.organization_id).slice(0, 200);
    const label = `organization ${name}`;
    const none = { max_budget: null, budget_duration: null, max_parallel_requests: null, tpm_limit: null, rpm_limit: null };
    const limits = readLimits(
      withBudget({ ...none, budget_id: row.budget_id }, label),
      { level: 'organization', name: label, spend: row.spend },
      leftovers,
    );
    const id = idOf('org', 'organization', row.organization_id);
    return { object: { kind: 'organization', id, name, limits }, allowed: readAllowed(row, options.models) };
  }

  function readTeam(row: TeamRow): Place {
    const name = (row.team_alias ?? row.team_id).slice(0, 200);
    const label = `team ${name}`;
    reportTeam(row, label, leftovers);
    const { object, allowed } = organizationOf(row.organization_id, label);
    return {
      allowed: bothAllow(readAllowed(row, options.models), allowed),
      workspace: {
        kind: 'workspace',
        id: idOf('ws', 'team', row.team_id),
        organization: object.id,
        name,
        limits: readLimits(row, { level: 'workspace', name: label, spend: row.spend }, leftovers),
        is_closed: row.blocked,
      },
    };
  }

  /** The workspace of one user's own keys in one organization, or of the keys that are nobody's. */
  function personalPlace(row: KeyRow): Place {
    const user = row.user_id === null ? undefined : users.get(row.user_id);
    const source = row.organization_id ?? user?.organization_id ?? null;
    const name = (user?.user_alias ?? user?.user_email ?? row.user_id ?? 'Keys without a team').slice(0, 200);
    const { object, allowed } = organizationOf(source, `user ${name}`);
    const id = idOf('ws', 'user', `${row.user_id ?? ''}\0${object.id}`);
    const known = others.get(id);
    if (known !== undefined) return known;
    const place: Place = {
      allowed: user === undefined ? allowed : bothAllow(readAllowed(user, options.models), allowed),
      workspace: {
        kind: 'workspace',
        id,
        organization: object.id,
        name,
        limits: user === undefined ? {} : readUserLimits(user, `user ${name}`),
        is_closed: false,
      },
    };
    others.set(id, place);
    return place;
  }

  function readUserLimits(user: UserRow, label: string): ImportedWorkspace['limits'] {
    return readLimits(user, { level: 'workspace', name: label, spend: user.spend }, leftovers);
  }

  function organizationOf(
    source: string | null,
    label: string,
  ): { readonly object: ImportedOrganization; readonly allowed: Allowed } {
    const named = source === null ? undefined : organizations.get(source);
    if (named !== undefined) return named;
    if (source !== null)
      leftovers.changed(label, `its organization is not in the exported table; it went to ${options.organizationName}`);
    const first = organizations.get('') ?? {
      object: {
        kind: 'organization' as const,
        id: idOf('org', 'named', options.organizationName),
        name: options.organizationName,
        limits: {},
      },
      allowed: 'all' as const,
    };
    organizations.set('', first);
    return first;
  }

  function withBudget<T extends Limited>(row: T, label: string): T {
    if (row.budget_id === null) return row;
    const budget = budgets.get(row.budget_id);
    if (budget === undefined) {
      leftovers.left(label, 'its budget is not in the exported table');
      return row;
    }
    if (budget.soft_budget !== null) leftovers.left(label, 'soft_budget: warnings are said per tier here');
    if (Object.keys(budget.model_max_budget).length > 0)
      leftovers.left(label, 'model_max_budget: there are no budgets for single models');
    return {
      ...row,
      // A budget and its duration belong together.
      ...(row.max_budget === null ? { max_budget: budget.max_budget, budget_duration: budget.budget_duration } : {}),
      max_parallel_requests: row.max_parallel_requests ?? budget.max_parallel_requests,
      tpm_limit: row.tpm_limit ?? budget.tpm_limit,
      rpm_limit: row.rpm_limit ?? budget.rpm_limit,
    };
  }
}

const idOf = (prefix: 'org' | 'ws', kind: string, source: string): string =>
  `${prefix}_litellm_${createHash('sha256').update(`${kind}\0${source}`).digest('hex').slice(0, 20)}`;
