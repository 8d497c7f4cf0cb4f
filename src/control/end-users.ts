import { z } from 'zod';
import type { EndUser } from '#contracts/tenancy';
import { conflict, json, notFound } from './answer.ts';
import { checkLimits, id as idField, limits, organizationOf, pageQuery, version } from './fields.ts';
import { present } from './present.ts';
import { route, type Route } from './route.ts';
import { save } from './save.ts';

export const endUserRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/admin/v1/end_users',
    permission: 'tenants.read',
    query: pageQuery,
    async handle({ tenants }, { query: { organization = null, after = null, limit } }) {
      const found = await tenants.list({ kind: 'end_user', organization, after, limit });
      return json({ data: found.items.map(present), next_after: found.nextAfter });
    },
  }),
  route({
    method: 'GET',
    path: '/admin/v1/end_users/:id',
    permission: 'tenants.read',
    async handle({ tenants }, { id }) {
      const found = await tenants.get('end_user', id);
      return found === null ? notFound('end user', id) : json(present(found));
    },
  }),
  route({
    method: 'PUT',
    path: '/admin/v1/end_users',
    permission: 'limits.write',
    /** `user` is what the client sends as `metadata.user_id` or `user`; it stands in the body alone, and only its hash is kept. */
    body: z.strictObject({ organization: idField.optional(), user: z.string().min(1).max(512), limits, version }),
    async handle(call, { body }) {
      const owner = await call.tenants.get('organization', organizationOf(call, body.organization));
      if (owner === null) return notFound('organization', body.organization ?? '');
      const id = call.tools.endUserId(owner.object.id, body.user);
      const found = await call.tenants.get('end_user', id);
      if (body.version !== undefined && body.version !== found?.version) return conflict('The end user');
      const wrong = checkLimits(call, body.limits, owner.object, found?.object.limits);
      if (wrong) return wrong;
      const createdAtMs = found?.object.createdAtMs ?? call.tools.clock.wallMs();
      const object: EndUser = { kind: 'end_user', id, organization: owner.object.id, limits: body.limits, createdAtMs };
      return save(call, 'end_user.limits', { object, expectVersion: found?.version ?? 0 });
    },
  }),
];
