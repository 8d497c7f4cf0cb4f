import type { Role } from '#contracts/tenancy';

/** Everything the admin API can be asked to do, as `what.how`. Where it may be done is a matter of reach, not of role. */
export const PERMISSIONS = [
  /** Organizations, workspaces, keys without their secrets, end users, limits, actions. */
  'tenants.read',
  'usage.read',
  'audit.read',
  /** Abuse cases and appeals, with their evidence. */
  'cases.read',
  'workspaces.write',
  /** Makes, rotates and revokes API keys, and reports leaked ones. */
  'keys.write',
  /** Limits of organizations, workspaces, keys and end users; tiers. */
  'limits.write',
  /** Takes an action on a subject, or reverses one. */
  'actions.write',
  /** Judges a case: was the rule right. */
  'cases.review',
  'appeals.decide',
  /** Makes and closes organizations, and says what happens when a gateway is cut off. */
  'organizations.write',
  'members.write',
  /** Makes, rotates and revokes admin keys. */
  'admin_keys.write',
] as const;
export type Permission = (typeof PERMISSIONS)[number];

const READ_ONLY = ['tenants.read', 'usage.read', 'audit.read'] as const;
/** Whoever keeps it running: may stop harm at once, and does not judge whether a rule was right. */
const OPERATOR = [...READ_ONLY, 'cases.read', 'workspaces.write', 'keys.write', 'limits.write', 'actions.write'] as const;
/** Whoever judges: cases, appeals and what follows from them; changes no tenant otherwise. */
const REVIEWER = [...READ_ONLY, 'cases.read', 'cases.review', 'appeals.decide', 'actions.write'] as const;

const BY_ROLE: { readonly [role in Role]: ReadonlySet<Permission> } = {
  admin: new Set(PERMISSIONS),
  operator: new Set(OPERATOR),
  reviewer: new Set(REVIEWER),
  read_only: new Set(READ_ONLY),
};

/** Whether a role includes a permission; a person or key without a role may do nothing. */
export function may(role: Role | null, permission: Permission): boolean {
  return role !== null && BY_ROLE[role].has(permission);
}
