import { z } from 'zod';
import type { Organization } from '#contracts/tenancy';
import { conflict, json, notFound, problem } from './answer.ts';
import { checkLimits, limits, name, newId, page, version } from './fields.ts';
import { save } from './save.ts';
import { present, presentRule } from './present.ts';
import { route, type Route } from './route.ts';

const settings = {
  tier: z.string().min(1).max(64).nullable().optional(),
  limits: limits.optional(),
  when_cut_off: z
    .union([
      z.strictObject({ kind: z.literal('serve') }),
      z.strictObject({ kind: z.literal('refuse'), after_seconds: z.int().min(0).max(31_536_000) }),
    ])
    .optional(),
  appeal_url: z
    .url({ protocol: /^https?$/ })
    .max(500)
    .nullable()
    .optional(),
};
const createBody = z.strictObject({ name, ...settings });
const patchBody = z.strictObject({ name: name.optional(), ...settings, version });

export const organizationRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/admin/v1/organizations',
    permission: 'tenants.read',
    query: z.strictObject(page),
    async handle({ tenants }, { query }) {
      const found = await tenants.list({
        kind: 'organization',
        organization: null,
        after: query.after ?? null,
        limit: query.limit,
      });
      return json({ data: found.items.map(present), next_after: found.nextAfter });
    },
  }),
  route({
    method: 'POST',
    path: '/admin/v1/organizations',
    permission: 'organizations.write',
    reach: 'installation',
    body: createBody,
    async handle(call, { body }) {
      const id = newId(call, 'org');
      const object: Organization = withSettings(
        {
          kind: 'organization',
          id,
          organization: id,
          name: body.name,
          tier: null,
          limits: {},
          whenCutOff: { kind: 'serve' },
          appealUrl: null,
          createdAtMs: call.tools.clock.wallMs(),
          closedAtMs: null,
        },
        body,
      );
      const wrong = checkLimits(call, object.limits, object);
      if (wrong) return wrong;
      return save(call, 'organization.create', { object, expectVersion: 0, details: { name: body.name } });
    },
  }),
  route({
    method: 'GET',
    path: '/admin/v1/organizations/:id',
    permission: 'tenants.read',
    async handle({ tenants }, { id }) {
      const found = await tenants.get('organization', id);
      return found === null ? notFound('organization', id) : json(present(found));
    },
  }),
  route({
    method: 'PATCH',
    path: '/admin/v1/organizations/:id',
    permission: 'organizations.write',
    body: patchBody,
    async handle(call, { id, body }) {
      const found = await call.tenants.get('organization', id);
      if (found === null) return notFound('organization', id);
      const { name: _, version: expected, ...given } = body;
      // What an organization was given is not for itself to change.
      if (Object.keys(given).length > 0 && call.principal.reach !== 'installation')
        return problem('forbidden', `${Object.keys(given).join(', ')}: only a key that reaches the installation changes this`);
      if (expected !== undefined && expected !== found.version) return conflict('The organization');
      const object = withSettings(found.object, body);
      const wrong = checkLimits(call, body.limits ?? {}, object);
      if (wrong) return wrong;
      return save(call, 'organization.change', {
        object,
        expectVersion: found.version,
        details: { fields: Object.keys(body).join(',') },
      });
    },
  }),
  route({
    method: 'POST',
    path: '/admin/v1/organizations/:id/close',
    permission: 'organizations.write',
    reach: 'installation',
    async handle(call, { id }) {
      const found = await call.tenants.get('organization', id);
      if (found === null) return notFound('organization', id);
      if (found.object.closedAtMs !== null) return json(present(found));
      const object = { ...found.object, closedAtMs: call.tools.clock.wallMs() };
      return save(call, 'organization.close', { object, expectVersion: found.version });
    },
  }),
  route({
    method: 'GET',
    path: '/admin/v1/organizations/:id/rate_limits',
    permission: 'tenants.read',
    async handle({ tenants, tools }, { id }) {
      const found = await tenants.get('organization', id);
      if (found === null) return notFound('organization', id);
      return json({ organization: id, tier: found.object.tier, data: tools.limits.rulesOf(found.object).map(presentRule) });
    },
  }),
];

function withSettings(before: Organization, body: z.infer<typeof patchBody>): Organization {
  const cutOff = body.when_cut_off;
  return {
    ...before,
    name: body.name ?? before.name,
    tier: body.tier === undefined ? before.tier : body.tier,
    limits: body.limits ?? before.limits,
    whenCutOff:
      cutOff === undefined
        ? before.whenCutOff
        : cutOff.kind === 'serve'
          ? { kind: 'serve' }
          : { kind: 'refuse', afterSeconds: cutOff.after_seconds },
    appealUrl: body.appeal_url === undefined ? before.appealUrl : body.appeal_url,
  };
}
