import type { Key, Organization, TenantObject } from '#contracts/tenancy';
import { sampleKey, sampleOrganization, sampleWorkspace } from '#contracts/tenancy-kit.fixture';
import { createEndUserIds, createTenantDirectory, type TenantDirectory } from '#gateway';
import { newKey } from '#storage';

const PEPPER = Buffer.alloc(32, 7);

export const organizationOf = (id: string, more: Partial<Organization> = {}): Organization => sampleOrganization({ id, ...more });

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
      sampleKey({
        id,
        organization: 'org_first',
        workspace: use === 'api' ? 'ws_first' : null,
        use,
        role: use === 'admin' ? 'admin' : null,
        reach: use === 'admin' ? 'installation' : null,
        hash,
        hint,
        ...more,
      }),
    ]);
    return presented;
  };
  directory.apply([organizationOf('org_first'), sampleWorkspace({ id: 'ws_first', organization: 'org_first' })]);
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
