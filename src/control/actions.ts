import { z } from 'zod';
import { isInForce } from '#core/tenancy';
import { RUNGS, subjectSchema, type Action, type Subject } from '#contracts/tenancy';
import { json, notFound, type Answer } from './answer.ts';
import { id as idField, newId, organizationOf, page, wallMs } from './fields.ts';
import { present } from './present.ts';
import { route, type Call, type Route } from './route.ts';
import { save } from './save.ts';

const reason = z.string().regex(/^[a-z][a-z0-9_]{0,63}$/, 'a reason code: lower-case letters, digits and _');
const createBody = z
  .strictObject({
    organization: idField.optional(),
    subject: subjectSchema,
    rung: z.enum(RUNGS),
    reason,
    factor: z.number().min(0.01).max(1).optional(),
    capabilities: z
      .array(
        z
          .string()
          .regex(/^(model_class:.+|model:.+|tools)$/, 'model_class:<id>, model:<id> or tools')
          .max(160),
      )
      .min(1)
      .max(50)
      .optional(),
    evidence: z.record(z.string().max(64), z.union([z.string().max(500), z.number(), z.boolean(), z.null()])).default({}),
    case: idField.optional(),
    expires_at_ms: wallMs.nullable().default(null),
  })
  .refine(({ rung, factor }) => (rung === 'slow') === (factor !== undefined), {
    path: ['factor'],
    error: 'goes with the rung slow, and only with it',
  })
  .refine(({ rung, capabilities }) => (rung === 'block_capability') === (capabilities !== undefined), {
    path: ['capabilities'],
    error: 'goes with the rung block_capability, and only with it',
  })
  .refine(({ rung, subject }) => rung !== 'suspend_key' || subject.kind === 'key', {
    path: ['subject'],
    error: 'suspend_key is about a key',
  })
  .refine(({ rung, subject }) => rung !== 'suspend_organization' || subject.kind === 'organization', {
    path: ['subject'],
    error: 'suspend_organization is about an organization',
  });

/** What is done about a subject. Those who run the installation act; an organization sees what was done about it, and why. */
export const actionRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/admin/v1/actions',
    permission: 'tenants.read',
    query: z.strictObject({
      organization: idField.optional(),
      subject: idField.optional(),
      in_force: z.enum(['true', 'false']).optional(),
      ...page,
    }),
    async handle({ tenants, tools }, { query: { organization = null, after = null, limit, subject, in_force } }) {
      const now = tools.clock.wallMs();
      const keeps = (action: Action): boolean =>
        (subject === undefined || action.subject.id === subject) &&
        (in_force === undefined || String(isInForce(action, now)) === in_force);
      const found = await tenants.list({ kind: 'action', organization, after, limit, keeps });
      return json({ data: found.items.map(present), next_after: found.nextAfter });
    },
  }),
  route({
    method: 'POST',
    path: '/admin/v1/actions',
    permission: 'actions.write',
    reach: 'installation',
    body: createBody,
    async handle(call, { body }) {
      const organization = organizationOf(call, body.organization);
      if (!(await isThere(call, body.subject, organization))) return notFound(body.subject.kind, body.subject.id);
      if (body.case !== undefined && (await call.tenants.get('case', body.case)) === null) return notFound('case', body.case);
      const object: Action = {
        kind: 'action',
        id: newId(call, 'act'),
        organization,
        subject: body.subject,
        rung: body.rung,
        factor: body.factor ?? null,
        capabilities: body.capabilities ?? [],
        reason: body.reason,
        evidence: body.evidence,
        case: body.case ?? null,
        decidedBy: {
          kind: 'person',
          id: call.principal.actor,
        },
        createdAtMs: call.tools.clock.wallMs(),
        expiresAtMs: body.expires_at_ms,
        reversedAtMs: null,
        reversedBy: null,
        reversedBecause: null,
      };
      const details = { rung: body.rung, reason: body.reason, about: body.subject.id };
      return save(call, 'action.create', { object, expectVersion: 0, details });
    },
  }),
  route({
    method: 'GET',
    path: '/admin/v1/actions/:id',
    permission: 'tenants.read',
    isOpenToApiKeys: true,
    async handle({ tenants }, { id }) {
      const found = await tenants.get('action', id);
      return found === null ? notFound('action', id) : json(present(found));
    },
  }),
  route({
    method: 'POST',
    path: '/admin/v1/actions/:id/reverse',
    permission: 'actions.write',
    reach: 'installation',
    body: z.strictObject({ because: z.string().trim().min(1).max(500) }),
    async handle(call, { id, body }): Promise<Answer> {
      const found = await call.tenants.get('action', id);
      if (found === null) return notFound('action', id);
      if (found.object.reversedAtMs !== null) return json(present(found));
      const object = reversed(call, found.object, body.because);
      return save(call, 'action.reverse', {
        object,
        expectVersion: found.version,
        details: { rung: object.rung, about: object.subject.id },
      });
    },
  }),
];

/** An action taken back by the caller, now. */
export function reversed({ principal, tools }: Call, action: Action, because: string): Action {
  return { ...action, reversedAtMs: tools.clock.wallMs(), reversedBy: principal.actor, reversedBecause: because };
}

/** End users and address blocks are known by name alone; what has an object must be the organization's. */
async function isThere({ tenants }: Call, { kind, id }: Subject, organization: string): Promise<boolean> {
  if ((await tenants.get('organization', organization)) === null) return false;
  if (kind === 'end_user' || kind === 'address_block') return true;
  return (await tenants.get(kind, id))?.object.organization === organization;
}
