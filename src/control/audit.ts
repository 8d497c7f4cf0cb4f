import { z } from 'zod';
import { json } from './answer.ts';
import { id as idField } from './fields.ts';
import { presentAudit } from './present.ts';
import { route, type Route } from './route.ts';

export const auditRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/admin/v1/audit',
    permission: 'audit.read',
    query: z.strictObject({
      organization: idField.optional(),
      after: z.coerce.number().int().min(0).default(0),
      limit: z.coerce.number().int().min(1).max(100).default(50),
    }),
    async handle({ tenants }, { query: { organization = null, after, limit } }) {
      const entries = await tenants.audit({ organization, after, max: limit });
      const isWhole = entries.length < limit;
      return json({ data: entries.map(presentAudit), next_after: isWhole ? null : (entries.at(-1)?.sequence ?? null) });
    },
  }),
  route({
    method: 'GET',
    path: '/admin/v1/audit/verify',
    permission: 'audit.read',
    reach: 'installation',
    async handle({ tools }) {
      const { entries, brokenAt } = await tools.verifyAudit();
      return json({ entries, broken_at: brokenAt });
    },
  }),
];
