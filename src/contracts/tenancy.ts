import { z } from 'zod';

/**
 * What the control store holds of tenants, and what the data plane serves from: organizations, workspaces, keys, end users,
 * members and actions in force. Each is one object with an id, an owner and a version; a change is a new version of the object.
 * Times are wall ms since 1970, money is micro-dollars, and an absent limit is "not said here", never "none".
 */

/** Ids are ours, made by the control plane, and safe in URLs, labels and store keys. */
const id = z.string().regex(/^[a-z]{2,8}_[A-Za-z0-9_-]{1,64}$/);
const wallMs = z.int().min(0).max(8.64e15);
const name = z.string().min(1).max(200);

/** What a person or an operating key may do; each includes what stands after it, but `reviewer` and `operator` differ. */
export const ROLES = ['admin', 'operator', 'reviewer', 'read_only'] as const;
export type Role = (typeof ROLES)[number];

/** Values that replace those of a rule for one subject, by rule id. */
const limitOverrides = z.record(
  z.string().max(64),
  z.strictObject({
    limit: z.int().min(0).max(1e12).optional(),
    burst: z.int().min(0).max(1e12).optional(),
  }),
);
export type LimitOverrides = z.infer<typeof limitOverrides>;

const organization = z.strictObject({
  kind: z.literal('organization'),
  id,
  /** Its own id: every object names the organization that owns it. */
  organization: id,
  name,
  /** A tier of the configuration; an unknown one has no limits of its own, and a warning says so. */
  tier: z.string().max(64).nullable(),
  limits: limitOverrides,
  /** What a gateway does with this organization's requests while it cannot hear of revocations. */
  whenCutOff: z.union([
    z.strictObject({ kind: z.literal('serve') }),
    z.strictObject({ kind: z.literal('refuse'), afterSeconds: z.int().min(0).max(31_536_000) }),
  ]),
  /** Where a person of this organization is told to appeal, shown in refusals; null for the operator's default. */
  appealUrl: z.string().max(500).nullable(),
  createdAtMs: wallMs,
  closedAtMs: wallMs.nullable(),
});

const workspace = z.strictObject({
  kind: z.literal('workspace'),
  id,
  organization: id,
  name,
  limits: limitOverrides,
  createdAtMs: wallMs,
  closedAtMs: wallMs.nullable(),
});

const key = z.strictObject({
  kind: z.literal('key'),
  id,
  organization: id,
  /** Null for operating keys of a whole organization. */
  workspace: id.nullable(),
  name,
  /** `api` calls models; `admin` operates, within `role` and `reach`. Neither does the other's work. */
  use: z.enum(['api', 'admin']),
  /** For `admin` keys. */
  role: z.enum(ROLES).nullable(),
  /** For `admin` keys: one organization (its own), or everything this installation has. */
  reach: z.enum(['organization', 'installation']).nullable(),
  /** The member whose key it is; null for a key of a machine. */
  member: id.nullable(),
  /** How the presented key is recognised. `sha256` is what other gateways stored; keys that moved in keep working. */
  hash: z.strictObject({ kind: z.enum(['hmac_sha256', 'sha256']), hex: z.string().regex(/^[0-9a-f]{64}$/) }),
  /** The last characters of the key, to tell it from others; never more than six. */
  hint: z.string().max(6),
  /** What the key may be used for; absent means everything its organization may. */
  scopes: z.strictObject({
    models: z.array(z.string().max(128)).max(1000).optional(),
    regions: z.array(z.string().max(128)).max(100).optional(),
    /** CIDR blocks, IPv4 or IPv6. */
    addresses: z.array(z.string().max(64)).max(100).optional(),
  }),
  limits: limitOverrides,
  createdAtMs: wallMs,
  createdBy: z.string().max(128),
  expiresAtMs: wallMs.nullable(),
  revokedAtMs: wallMs.nullable(),
  /** The key that took its place; this one then expires at the end of the overlap. */
  replacedBy: id.nullable(),
});

/** The client's name for its end user, hashed under the organization; an object exists only where something was said of it. */
const endUser = z.strictObject({
  kind: z.literal('end_user'),
  id,
  organization: id,
  limits: limitOverrides,
  createdAtMs: wallMs,
});

const member = z.strictObject({
  kind: z.literal('member'),
  id,
  organization: id,
  email: z.email().max(254),
  role: z.enum(ROLES),
  reach: z.enum(['organization', 'installation']),
  createdAtMs: wallMs,
  removedAtMs: wallMs.nullable(),
});

/** The rungs of the ladder, mildest first. */
export const RUNGS = ['note', 'slow', 'step_up', 'block_capability', 'suspend_key', 'suspend_organization'] as const;
export type Rung = (typeof RUNGS)[number];

/** What something is about: one node of the tenancy tree, or a block of addresses. */
export const subjectSchema = z.strictObject({
  kind: z.enum(['organization', 'workspace', 'key', 'end_user', 'address_block']),
  id: z.string().min(1).max(128),
});
export type Subject = z.infer<typeof subjectSchema>;

/** One thing done about a subject. In force from `createdAtMs` until it expires or is reversed. */
const action = z.strictObject({
  kind: z.literal('action'),
  id,
  organization: id,
  subject: subjectSchema,
  rung: z.enum(RUNGS),
  /** For `slow`: every rate of the subject is multiplied by this, 0.01 to 1. */
  factor: z.number().min(0.01).max(1).nullable(),
  /** For `block_capability`: `model_class:<id>`, `model:<id>` or `tools`. */
  capabilities: z.array(z.string().max(160)).max(50),
  /** A code of `docs/abuse.md`. */
  reason: z.string().min(1).max(64),
  /** What was seen, in numbers and ids; never content. */
  evidence: z.record(z.string().max(64), z.union([z.string().max(500), z.number(), z.boolean(), z.null()])),
  case: id.nullable(),
  decidedBy: z.strictObject({ kind: z.enum(['rule', 'person', 'leak_report']), id: z.string().max(128) }),
  createdAtMs: wallMs,
  expiresAtMs: wallMs.nullable(),
  reversedAtMs: wallMs.nullable(),
  reversedBy: z.string().max(128).nullable(),
  reversedBecause: z.string().max(500).nullable(),
});

/** Observations joined under one subject, for a person to look at. */
const abuseCase = z.strictObject({
  kind: z.literal('case'),
  id,
  organization: id,
  subject: subjectSchema,
  /** The rule, or what else opened it. */
  rule: z.string().max(64),
  /** The rule's expression when it fired last: reviews measure that, and nothing of a rule that was changed since. */
  when: z.string().max(500).optional(),
  /** What the rule asks for and may not do by itself; absent when nothing is left for a person to decide. */
  proposes: z.enum(RUNGS).optional(),
  status: z.enum(['open', 'closed']),
  signals: z.record(z.string().max(64), z.number()),
  occurrences: z.int().min(1),
  openedAtMs: wallMs,
  lastSeenAtMs: wallMs,
  closedAtMs: wallMs.nullable(),
  /** Was the rule right? Reviews measure its precision. `unsure` counts as a review that was not a confirmation. */
  review: z
    .strictObject({
      verdict: z.enum(['confirmed', 'mistaken', 'unsure']),
      by: z.string().max(128),
      atMs: wallMs,
      note: z.string().max(2000),
    })
    .nullable(),
});

/** A client's objection to an action. */
const appeal = z.strictObject({
  kind: z.literal('appeal'),
  id,
  organization: id,
  action: id,
  statement: z.string().min(1).max(4000),
  createdAtMs: wallMs,
  decision: z
    .strictObject({
      verdict: z.enum(['upheld', 'overturned']),
      by: z.string().max(128),
      atMs: wallMs,
      note: z.string().max(2000),
    })
    .nullable(),
});

export const tenantObjectSchema = z.discriminatedUnion('kind', [
  organization,
  workspace,
  key,
  endUser,
  member,
  action,
  abuseCase,
  appeal,
]);

export type TenantObject = z.infer<typeof tenantObjectSchema>;
export type TenantObjectKind = TenantObject['kind'];
export type Organization = z.infer<typeof organization>;
export type Workspace = z.infer<typeof workspace>;
export type Key = z.infer<typeof key>;
export type EndUser = z.infer<typeof endUser>;
export type Member = z.infer<typeof member>;
export type Action = z.infer<typeof action>;
export type Case = z.infer<typeof abuseCase>;
export type Appeal = z.infer<typeof appeal>;

/** What a gateway needs to serve; members, cases and appeals stay in the control plane. */
export const SERVED_KINDS = [
  'organization',
  'workspace',
  'key',
  'end_user',
  'action',
] as const satisfies readonly TenantObjectKind[];
