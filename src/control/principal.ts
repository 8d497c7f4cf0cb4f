import type { Role } from '#contracts/tenancy';
import { may, type Permission } from '#core/tenancy';

/** Who calls the admin API, as the presented key says. */
export interface Principal {
  /** What the audit log names: `key:…` or `member:…`. */
  readonly actor: string;
  /** `api` keys reach the few routes that are open to them, so that a suspended client can appeal. */
  readonly use: 'admin' | 'api';
  /** Null for an `api` key. */
  readonly role: Role | null;
  /** `installation`: every organization. An `api` key reaches its own. */
  readonly reach: Reach;
  /** Its own organization. */
  readonly organization: string;
}

export type Reach = 'organization' | 'installation';

/** Whether a principal's role and reach are enough for what a route asks; object-level checks come after this. */
export function isAllowed(
  principal: Principal,
  route: { readonly permission: Permission | null; readonly reach: Reach; readonly isOpenToApiKeys: boolean },
): boolean {
  if (principal.use === 'api') return route.isOpenToApiKeys;
  if (route.reach === 'installation' && principal.reach !== 'installation') return false;
  return route.permission === null || may(principal.role, route.permission);
}
