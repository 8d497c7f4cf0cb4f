import { z } from 'zod';
import type { Workspace } from '#contracts/tenancy';
import { conflict, json, notFound, problem } from './answer.ts';
import { checkLimits, id as idField, limits, name, newId, organizationOf, pageQuery, version } from './fields.ts';
import { save } from './save.ts';
import { present } from './present.ts';
import { route, type Route } from './route.ts';

export const workspaceRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/admin/v1/workspaces',
    permission: 'tenants.read',
    query: pageQuery,
    async handle({ tenants }, { query: { organization = null, after = null, limit } }) {
      const found = await tenants.list({ kind: 'workspace', organization, after, limit });
      return json({ data: found.items.map(present), next_after: found.nextAfter });
    },
  }),
  route({
    method: 'POST',
    path: '/admin/v1/workspaces',
    permission: 'workspaces.write',
    body: z.strictObject({ organization: idField.optional(), name, limits: limits.optional() }),
    async handle(call, { body }) {
      const owner = await call.tenants.get('organization', organizationOf(call, body.organization));
      if (owner === null) return notFound('organization', body.organization ?? '');
      if (owner.object.closedAtMs !== null) return problem('conflict', 'The organization is closed');
      const wrong = checkLimits(call, body.limits ?? {}, owner.object);
      if (wrong) return wrong;
      const object: Workspace = {
        kind: 'workspace',
        id: newId(call, 'ws'),
        organization: owner.object.id,
        name: body.name,
        limits: body.limits ?? {},
        createdAtMs: call.tools.clock.wallMs(),
        closedAtMs: null,
      };
      return save(call, 'workspace.create', { object, expectVersion: 0, details: { name: object.name } });
    },
  }),
  route({
    method: 'GET',
    path: '/admin/v1/workspaces/:id',
    permission: 'tenants.read',
    async handle({ tenants }, { id }) {
      const found = await tenants.get('workspace', id);
      return found === null ? notFound('workspace', id) : json(present(found));
    },
  }),
  route({
    method: 'PATCH',
    path: '/admin/v1/workspaces/:id',
    permission: 'workspaces.write',
    body: z.strictObject({ name: name.optional(), limits: limits.optional(), version }),
    async handle(call, { id, body }) {
      const found = await call.tenants.get('workspace', id);
      const owner = found && (await call.tenants.get('organization', found.object.organization));
      if (found === null || owner === null) return notFound('workspace', id);
      if (body.version !== undefined && body.version !== found.version) return conflict('The workspace');
      const wrong = checkLimits(call, body.limits ?? {}, owner.object, found.object.limits);
      if (wrong) return wrong;
      const object = { ...found.object, name: body.name ?? found.object.name, limits: body.limits ?? found.object.limits };
      return save(call, 'workspace.change', {
        object,
        expectVersion: found.version,
        details: { fields: Object.keys(body).join(',') },
      });
    },
  }),
  route({
    method: 'POST',
    path: '/admin/v1/workspaces/:id/close',
    permission: 'workspaces.write',
    async handle(call, { id }) {
      const found = await call.tenants.get('workspace', id);
      if (found === null) return notFound('workspace', id);
      if (found.object.closedAtMs !== null) return json(present(found));
      const object = { ...found.object, closedAtMs: call.tools.clock.wallMs() };
      return save(call, 'workspace.close', { object, expectVersion: found.version });
    },
  }),
];
