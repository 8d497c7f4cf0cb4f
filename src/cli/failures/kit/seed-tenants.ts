import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Key, TenantObject } from '#contracts/tenancy';
import { createTenantDirectory, openSnapshot } from '#gateway';
import { newKey, type NewKey } from '#storage';

/**
 * Gives a data directory the first tenants and their keys as a gateway leaves them behind, so that it can be served from with no
 * store: a database for each gateway would take seconds each. Nothing is done to a directory that is there.
 */
export async function seedTenants(dataDirectory: string): Promise<void> {
  if (existsSync(dataDirectory)) return;
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 });
  const pepper = randomBytes(32);
  const [api, admin] = [newKey('api', pepper), newKey('admin', pepper)];
  const directory = createTenantDirectory({ pepper, wallMs: Date.now });
  const snapshot = await openSnapshot({ dataDirectory, pepper, directory, wallMs: Date.now, onEvent: () => undefined });
  directory.apply(firstTenants(api, admin));
  snapshot.replaced({ origin: 'seeded', commit: 1, hash: 'seeded' });
  await snapshot.close();
  await writeFile(path.join(dataDirectory, 'pepper'), pepper, { mode: 0o600 });
  const keys = JSON.stringify({ api_key: api.presented, admin_key: admin.presented });
  await writeFile(path.join(dataDirectory, 'first-keys.json'), keys, { mode: 0o600 });
}

function firstTenants(api: NewKey, admin: NewKey): readonly TenantObject[] {
  const owned = { organization: 'org_first', name: 'first', limits: {}, createdAtMs: 0, closedAtMs: null };
  const key = (id: string, use: Key['use'], { hash, hint }: NewKey): Key => ({
    kind: 'key',
    id,
    organization: 'org_first',
    workspace: 'ws_first',
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
  });
  return [
    { ...owned, kind: 'organization', id: 'org_first', tier: null, whenCutOff: { kind: 'serve' }, appealUrl: null },
    { ...owned, kind: 'workspace', id: 'ws_first' },
    key('key_first_api', 'api', api),
    key('key_first_admin', 'admin', admin),
  ];
}
