import { z } from 'zod';
import { ROLES, type Key, type Member } from '#contracts/tenancy';
import type { Versioned } from '#storage';
import { conflict, json, notFound, problem, type Answer } from './answer.ts';
import { id as idField, newId, organizationOf, pageQuery, version } from './fields.ts';
import { present } from './present.ts';
import { route, type Call, type Route } from './route.ts';
import { save } from './save.ts';

export const memberRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/admin/v1/members',
    permission: 'tenants.read',
    query: pageQuery,
    async handle({ tenants }, { query: { organization = null, after = null, limit } }) {
      const found = await tenants.list({ kind: 'member', organization, after, limit });
      return json({ data: found.items.map(present), next_after: found.nextAfter });
    },
  }),
  route({
    method: 'POST',
    path: '/admin/v1/members',
    permission: 'members.write',
    body: z.strictObject({
      organization: idField.optional(),
      email: z.email().max(254),
      role: z.enum(ROLES),
      reach: z.enum(['organization', 'installation']).default('organization'),
    }),
    async handle(call, { body }) {
      const owner = await call.tenants.get('organization', organizationOf(call, body.organization));
      if (owner === null) return notFound('organization', body.organization ?? '');
      if (body.reach === 'installation' && call.principal.reach !== 'installation')
        return problem('forbidden', 'reach: this key reaches one organization and gives no more than that');
      const object: Member = {
        kind: 'member',
        id: newId(call, 'mem'),
        organization: owner.object.id,
        email: body.email,
        role: body.role,
        reach: body.reach,
        createdAtMs: call.tools.clock.wallMs(),
        removedAtMs: null,
      };
      return save(call, 'member.create', { object, expectVersion: 0, details: { role: body.role, reach: body.reach } });
    },
  }),
  route({
    method: 'GET',
    path: '/admin/v1/members/:id',
    permission: 'tenants.read',
    async handle({ tenants }, { id }) {
      const found = await tenants.get('member', id);
      return found === null ? notFound('member', id) : json(present(found));
    },
  }),
  route({
    method: 'PATCH',
    path: '/admin/v1/members/:id',
    permission: 'members.write',
    body: z.strictObject({ role: z.enum(ROLES), version }),
    async handle(call, { id, body: { role, version: expected } }) {
      const found = await call.tenants.get('member', id);
      if (found === null) return notFound('member', id);
      if (found.object.removedAtMs !== null) return problem('conflict', 'The member was removed');
      if (expected !== undefined && expected !== found.version) return conflict('The member');
      // Keys carry the role that gateways go by.
      return withKeys(call, 'member.change', found, { member: { ...found.object, role }, keyOf: (key) => ({ ...key, role }) });
    },
  }),
  route({
    method: 'POST',
    path: '/admin/v1/members/:id/remove',
    permission: 'members.write',
    async handle(call, { id }) {
      const found = await call.tenants.get('member', id);
      if (found === null) return notFound('member', id);
      if (found.object.removedAtMs !== null) return json(present(found));
      const now = call.tools.clock.wallMs();
      return withKeys(call, 'member.remove', found, {
        member: { ...found.object, removedAtMs: now },
        keyOf: (key) => ({ ...key, revokedAtMs: now }),
      });
    },
  }),
];

const KEYS_AT_ONCE = 500;

/** Changes the keys that a member has, and the member with the last of them: whoever is stopped half way can begin anew. */
async function withKeys(
  call: Call,
  act: string,
  found: Versioned<Member>,
  { member, keyOf }: { readonly member: Member; readonly keyOf: (key: Key) => Key },
): Promise<Answer> {
  const { id, organization } = found.object;
  const keys = await call.tenants.all('key', organization, (key) => key.member === id && key.revokedAtMs === null);
  const details = { role: member.role, keys: keys.length };
  const puts = keys.map((key) => ({ object: keyOf(key.object), expectVersion: key.version }));
  while (puts.length > KEYS_AT_ONCE) {
    const done = await call.tenants.commit({ act, organization, subject: id, details, put: puts.splice(0, KEYS_AT_ONCE) });
    if (done === null) return conflict('A key of the member');
  }
  return save(call, act, { object: member, expectVersion: found.version, details, also: puts });
}
