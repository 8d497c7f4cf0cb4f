import type { Key, Organization, Workspace } from '#contracts/tenancy';

/** Why a key is no good now, or that it is, and until when if nothing changes. */
export type Usability =
  | { readonly kind: 'usable'; readonly untilMs: number }
  | { readonly kind: 'revoked' | 'expired' | 'organization_closed' | 'workspace_closed' | 'ownerless' };

/** What a key belongs to; null where it is not known. */
export interface KeyOwner {
  readonly organization: Organization | null;
  readonly workspace: Workspace | null;
}

/**
 * Judges a key at a time. A key whose organization or workspace is not known is nobody's, and good for nothing. A revocation or
 * a closing holds whatever time it names: clocks of other machines may be ahead.
 * @param nowMs - wall ms
 */
export function usabilityOf(key: Key, { organization, workspace }: KeyOwner, nowMs: number): Usability {
  if (key.revokedAtMs !== null) return { kind: 'revoked' };
  if (organization === null || organization.id !== key.organization) return { kind: 'ownerless' };
  if (organization.closedAtMs !== null) return { kind: 'organization_closed' };
  if (key.workspace !== null) {
    if (workspace === null || workspace.id !== key.workspace || workspace.organization !== organization.id)
      return { kind: 'ownerless' };
    if (workspace.closedAtMs !== null) return { kind: 'workspace_closed' };
  } else if (key.use === 'api') return { kind: 'ownerless' };
  const untilMs = key.expiresAtMs ?? Infinity;
  return nowMs < untilMs ? { kind: 'usable', untilMs } : { kind: 'expired' };
}
