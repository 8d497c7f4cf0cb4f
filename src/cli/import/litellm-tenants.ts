import type { LimitOverrides } from '#contracts/tenancy';
import type { Leftovers } from './leftovers.ts';
import { readLimits } from './litellm-limits.ts';
import { bothAllow, readAllowed, type KnownModels } from './litellm-models.ts';
import type { BudgetRow, KeyRow, OrganizationRow, TeamRow, UserRow } from './litellm-tables.ts';
import { createTree, type Place } from './litellm-tree.ts';
import { callsModels, reportKey } from './litellm-unsupported.ts';

export interface LitellmTables {
  readonly keys: readonly KeyRow[];
  readonly teams: readonly TeamRow[];
  readonly users: readonly UserRow[];
  readonly organizations: readonly OrganizationRow[];
  readonly budgets: readonly BudgetRow[];
}

interface Imported {
  readonly id: string;
  readonly name: string;
  readonly limits: LimitOverrides;
}
export type ImportedOrganization = Imported & { readonly kind: 'organization' };
export type ImportedWorkspace = Imported & {
  readonly kind: 'workspace';
  readonly organization: string;
  readonly is_closed: boolean;
};
export type ImportedKey = Omit<Imported, 'id'> & {
  readonly kind: 'key';
  readonly sha256: string;
  readonly organization: string;
  readonly workspace: string;
  readonly hint: string;
  /** Null: whatever is served. */
  readonly models: readonly string[] | null;
  readonly expires_at_ms: number | null;
  readonly is_revoked: boolean;
};
/** What the admin API is asked to create, in its own words. */
export type ImportedObject = ImportedOrganization | ImportedWorkspace | ImportedKey;

export interface TenantOptions {
  /** What the organization of teams and keys without one is called. */
  readonly organizationName: string;
  readonly models: KnownModels;
}

/**
 * LiteLLM's organizations become organizations, its teams workspaces, its keys keys. A user's keys outside any team get a
 * workspace of their own, which has the user's limits; keys of nobody share one. Ids follow from LiteLLM's, so that a second run
 * finds what the first one made.
 * @returns parents before their children
 */
export function planTenants(tables: LitellmTables, options: TenantOptions, leftovers: Leftovers): readonly ImportedObject[] {
  const tree = createTree(tables, options, leftovers);
  const keys = tables.keys.flatMap((row): readonly ImportedKey[] => {
    const name = (row.key_alias ?? row.key_name ?? 'without a name').slice(0, 200);
    const because = whyNot(row);
    const place = because === null ? tree.placeOf(row) : because;
    if (typeof place !== 'string') return [readKey(row, name, place)];
    leftovers.left(`key ${name}`, place);
    return [];
  });
  return [...tree.objects(), ...keys];

  function readKey(row: KeyRow, name: string, place: Place): ImportedKey {
    const label = `key ${name}`;
    reportKey(row, label, leftovers);
    const allowed = bothAllow(readAllowed(row, options.models), place.allowed);
    if (allowed !== 'all' && allowed.size === 0) leftovers.changed(label, 'none of its models is left: it may call none');
    return {
      kind: 'key',
      sha256: row.token,
      organization: place.workspace.organization,
      workspace: place.workspace.id,
      name,
      hint: /[^.]{0,4}$/.exec(row.key_name ?? '')?.[0] ?? '',
      models: allowed === 'all' ? null : [...allowed],
      limits: readLimits(tree.withBudget(row, label), { level: 'key', name: label, spend: row.spend }, leftovers),
      expires_at_ms: row.expires,
      is_revoked: row.blocked,
    };
  }
}

/** The team that LiteLLM gives to sessions of its own dashboard. */
const DASHBOARD_TEAM = 'litellm-dashboard';

function whyNot(row: KeyRow): string | null {
  if (row.team_id === DASHBOARD_TEAM) return "it is a session of LiteLLM's own dashboard";
  if (!/^[0-9a-f]{64}$/.test(row.token)) return 'it is not stored as a SHA-256 hash; make a new key in its place';
  if (!callsModels(row)) return 'it only manages; make an admin key in its place';
  return null;
}
