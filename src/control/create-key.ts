import { z } from 'zod';
import { may } from '#core/tenancy';
import { ROLES, type Key } from '#contracts/tenancy';
import { notFound, problem, type Answer } from './answer.ts';
import { checkLimits, id as idField, limits, name, newId, organizationOf, scopes, wallMs } from './fields.ts';
import type { Call } from './route.ts';
import { save } from './save.ts';
import type { Change } from './tenants.ts';

export const createKeyBody = z.strictObject({
  organization: idField.optional(),
  workspace: idField.optional(),
  name,
  use: z.enum(['api', 'admin']).default('api'),
  member: idField.optional(),
  role: z.enum(ROLES).optional(),
  reach: z.enum(['organization', 'installation']).optional(),
  scopes: scopes.optional(),
  limits: limits.optional(),
  expires_at_ms: wallMs.nullable().optional(),
});
type CreateBody = z.infer<typeof createKeyBody>;

/** Makes a key, and answers with the key itself, once. */
export async function createKey(call: Call, body: CreateBody): Promise<Answer> {
  const forbidden = mayManage(call, body);
  if (forbidden) return forbidden;
  const owner = await call.tenants.get('organization', organizationOf(call, body.organization));
  if (owner === null) return notFound('organization', body.organization ?? '');
  const place = body.use === 'api' ? await placeOfApiKey(call, body) : await placeOfAdminKey(call, body);
  if ('kind' in place) return place;
  const now = call.tools.clock.wallMs();
  const wrong =
    (owner.object.closedAtMs === null ? null : problem('conflict', 'The organization is closed')) ??
    ((body.expires_at_ms ?? Infinity) > now ? null : problem('invalid_request', 'expires_at_ms: is over already')) ??
    checkLimits(call, body.limits ?? {}, owner.object);
  if (wrong) return wrong;
  const made = call.tools.newKey(body.use);
  const object: Key = {
    kind: 'key',
    id: newId(call, 'key'),
    organization: owner.object.id,
    ...place.fields,
    name: body.name,
    use: body.use,
    hash: made.hash,
    hint: made.hint,
    scopes: body.scopes ?? {},
    limits: body.limits ?? {},
    createdAtMs: now,
    createdBy: call.principal.actor,
    expiresAtMs: body.expires_at_ms ?? null,
    revokedAtMs: null,
    replacedBy: null,
  };
  const details = { name: body.name, use: body.use, role: object.role };
  const answer = await save(call, 'key.create', { object, expectVersion: 0, details, also: place.also });
  return withSecret(answer, made.presented);
}

/** Admin keys are for whoever may hand out roles. */
export function mayManage({ principal }: Call, key: Pick<Key, 'use'>): Answer | null {
  return key.use === 'api' || may(principal.role, 'admin_keys.write')
    ? null
    : problem('forbidden', `Admin keys need the permission admin_keys.write, which the role ${principal.role} does not include`);
}

/** Adds the key itself to the answer that made it: the only time that it is shown. */
export function withSecret(answer: Answer, secret: string): Answer {
  return answer.kind === 'json' && answer.status < 300 ? { ...answer, body: { ...answer.body, secret } } : answer;
}

interface Place {
  readonly fields: Pick<Key, 'workspace' | 'member' | 'role' | 'reach'>;
  readonly also: Change['put'];
}

async function placeOfApiKey(call: Call, body: CreateBody): Promise<Place | Answer> {
  if (body.role !== undefined || body.reach !== undefined || body.member !== undefined)
    return problem('invalid_request', 'role, reach and member are for admin keys: add "use": "admin"');
  if (body.workspace === undefined) return problem('invalid_request', 'workspace: an API key belongs to one');
  const workspace = await call.tenants.get('workspace', body.workspace);
  if (workspace === null || workspace.object.organization !== organizationOf(call, body.organization))
    return notFound('workspace', body.workspace);
  if (workspace.object.closedAtMs !== null) return problem('conflict', 'The workspace is closed');
  return { fields: { workspace: workspace.object.id, member: null, role: null, reach: null }, also: [] };
}

async function placeOfAdminKey(call: Call, body: CreateBody): Promise<Place | Answer> {
  if (body.workspace !== undefined) return problem('invalid_request', 'workspace: an admin key belongs to none');
  if (body.member !== undefined) {
    const member = await call.tenants.get('member', body.member);
    if (member === null || member.object.organization !== organizationOf(call, body.organization))
      return notFound('member', body.member);
    if (member.object.removedAtMs !== null) return problem('conflict', 'The member was removed');
    if (body.role !== undefined || body.reach !== undefined)
      return problem('invalid_request', 'role and reach of a key of a member are those of the member');
    const { id, role, reach } = member.object;
    // Written again, so that who removes the member at the same moment meets this key, or this key meets the removal.
    const also = [{ object: member.object, expectVersion: member.version }];
    return { fields: { workspace: null, member: id, role, reach }, also };
  }
  if (body.role === undefined) return problem('invalid_request', 'role: an admin key has one, or a member');
  const reach = body.reach ?? 'organization';
  if (reach === 'installation' && call.principal.reach !== 'installation')
    return problem('forbidden', 'reach: this key reaches one organization and gives no more than that');
  return { fields: { workspace: null, member: null, role: body.role, reach }, also: [] };
}
