import { z } from 'zod';
import type { Key } from '#contracts/tenancy';
import { conflict, json, notFound, problem } from './answer.ts';
import { checkLimits, id as idField, limits, name, page, scopes, version, wallMs } from './fields.ts';
import { createKey, createKeyBody, mayManage } from './create-key.ts';
import { present, presentLimits } from './present.ts';
import { route, type Route } from './route.ts';
import { save } from './save.ts';

export const keyRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/admin/v1/keys',
    permission: 'tenants.read',
    query: z.strictObject({
      organization: idField.optional(),
      workspace: idField.optional(),
      member: idField.optional(),
      use: z.enum(['api', 'admin']).optional(),
      ...page,
    }),
    async handle({ tenants }, { query: { organization = null, after = null, limit, workspace, member, use } }) {
      const filters = [
        ...(workspace === undefined ? [] : [(key: Key) => key.workspace === workspace]),
        ...(member === undefined ? [] : [(key: Key) => key.member === member]),
        ...(use === undefined ? [] : [(key: Key) => key.use === use]),
      ];
      const keeps = filters.length === 0 ? {} : { keeps: (key: Key) => filters.every((filter) => filter(key)) };
      const found = await tenants.list({ kind: 'key', organization, after, limit, ...keeps });
      return json({ data: found.items.map(present), next_after: found.nextAfter });
    },
  }),
  route({
    method: 'POST',
    path: '/admin/v1/keys',
    permission: 'keys.write',
    body: createKeyBody,
    handle: (call, { body }) => createKey(call, body),
  }),
  route({
    method: 'GET',
    path: '/admin/v1/keys/:id',
    permission: 'tenants.read',
    async handle({ tenants }, { id }) {
      const found = await tenants.get('key', id);
      return found === null ? notFound('key', id) : json(present(found));
    },
  }),
  route({
    method: 'PATCH',
    path: '/admin/v1/keys/:id',
    permission: 'keys.write',
    body: z.strictObject({
      name: name.optional(),
      scopes: scopes.optional(),
      limits: limits.optional(),
      expires_at_ms: wallMs.nullable().optional(),
      version,
    }),
    async handle(call, { id, body }) {
      const found = await call.tenants.get('key', id);
      const owner = found && (await call.tenants.get('organization', found.object.organization));
      if (found === null || owner === null) return notFound('key', id);
      const wrong =
        mayManage(call, found.object) ??
        (found.object.revokedAtMs === null ? null : problem('conflict', 'A revoked key cannot be changed; make a new one')) ??
        checkLimits(call, body.limits ?? {}, owner.object, found.object.limits);
      if (wrong) return wrong;
      if (body.version !== undefined && body.version !== found.version) return conflict('The key');
      const object: Key = {
        ...found.object,
        name: body.name ?? found.object.name,
        scopes: body.scopes === undefined ? found.object.scopes : body.scopes,
        limits: body.limits ?? found.object.limits,
        expiresAtMs: body.expires_at_ms === undefined ? found.object.expiresAtMs : body.expires_at_ms,
      };
      return save(call, 'key.change', { object, expectVersion: found.version, details: { fields: Object.keys(body).join(',') } });
    },
  }),
  route({
    method: 'GET',
    path: '/admin/v1/keys/:id/limits',
    permission: 'tenants.read',
    async handle({ tenants, tools }, { id }) {
      if ((await tenants.get('key', id)) === null) return notFound('key', id);
      const limitsNow = await tools.limits.explain(id);
      if (limitsNow === null)
        return problem('unavailable', 'This gateway does not serve the key yet; ask again in a few seconds');
      return json({ key: id, ...presentLimits(limitsNow) });
    },
  }),
];
