import type { Principal } from '#control';
import type { TenantDirectory } from '#gateway';

/**
 * Who calls the admin API, by the key in the headers; null for none, or one that is no good. A suspended key may still appeal,
 * and a suspended operator's key operates nothing.
 */
export function principalOf(
  header: (name: string) => string | undefined,
  tenants: Pick<TenantDirectory, 'find'>,
): Principal | null {
  const presented = header('x-api-key') ?? /^bearer (.+)$/i.exec(header('authorization') ?? '')?.[1];
  const caller = presented === undefined ? null : tenants.find(presented.trim());
  if (caller === null) return null;
  const { key, organization, role: use, standing } = caller;
  if (use === 'admin' && standing.suspended !== null) return null;
  return {
    actor: key.member === null ? `key:${key.id}` : `member:${key.member}`,
    use,
    role: use === 'admin' ? key.role : null,
    reach: use === 'admin' ? (key.reach ?? 'organization') : 'organization',
    organization,
  };
}
