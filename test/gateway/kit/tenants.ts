import type { Key, Organization, TenantObject, Workspace } from '#contracts/tenancy';
import { createEndUserIds, createTenantDirectory, type TenantDirectory } from '#gateway';
import { newKey } from '#storage';

const PEPPER = Buffer.alloc(32, 7);

export const organizationOf = (id: string, more: Partial<Organization> = {}): Organization => ({
  kind: 'organization',
  id,
  organization: id,
  name: id,
  tier: null,
  limits: {},
  whenCutOff: { kind: 'serve' },
  appealUrl: null,
  createdAtMs: 0,
  closedAtMs: null,
  ...more,
});

export const workspaceOf = (organization: string, id: string, more: Partial<Workspace> = {}): Workspace => ({
  kind: 'workspace',
  id,
  organization,
  name: id,
  limits: {},
  createdAtMs: 0,
  closedAtMs: null,
  ...more,
});

/** Tenants in memory: one organization, one workspace, a key of each kind, and whatever a test adds. */
export interface TestTenants {
  readonly directory: TenantDirectory;
  readonly apiKey: string;
  readonly adminKey: string;
  /** Makes one more key. @returns the key as its owner presents it */
  add(id: string, more?: Partial<Key>): string;
  /** What an end user of the first organization is called. */
  endUser(user: string): string;
  put(...objects: readonly TenantObject[]): void;
  /** How long the gateway has heard nothing of its tenants, ms. */
  cutOffMs: number;
}

export function testTenants(): TestTenants {
  const directory = createTenantDirectory({ pepper: PEPPER, wallMs: Date.now });
  const add = (id: string, more: Partial<Key> = {}): string => {
    const use = more.use ?? 'api';
    const { presented, hash, hint } = newKey(use, PEPPER);
    directory.apply([
      {
        kind: 'key',
        id,
        organization: 'org_first',
        workspace: use === 'api' ? 'ws_first' : null,
        name: id,
        use,
        role: use === 'admin' ? 'admin' : null,
        reach: use === 'admin' ? 'installation' : null,
        member: null,
        hash,
        hint,
        scopes: {},
        limits: {},
        createdAtMs: 0,
        createdBy: 'system',
        expiresAtMs: null,
        revokedAtMs: null,
        replacedBy: null,
        ...more,
      },
    ]);
    return presented;
  };
  directory.apply([organizationOf('org_first'), workspaceOf('org_first', 'ws_first')]);
  return {
    directory,
    apiKey: add('key_first_api'),
    adminKey: add('key_first_admin', { use: 'admin' }),
    add,
    endUser: (user) => createEndUserIds(PEPPER)('org_first', user),
    put: (...objects) => directory.apply(objects),
    cutOffMs: 0,
  };
}
