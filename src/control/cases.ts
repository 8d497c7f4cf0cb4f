import { z } from 'zod';
import { subjectSchema, type Case } from '#contracts/tenancy';
import { conflict, json, notFound } from './answer.ts';
import { id as idField, note, page, version } from './fields.ts';
import { present } from './present.ts';
import { route, type Route } from './route.ts';
import { save } from './save.ts';

/** What is being looked into; its subject is not to see it before somebody has. */
export const caseRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/admin/v1/cases',
    permission: 'cases.read',
    reach: 'installation',
    query: z.strictObject({
      organization: idField.optional(),
      status: z.enum(['open', 'closed']).optional(),
      rule: z.string().max(64).optional(),
      ...page,
    }),
    async handle({ tenants }, { query: { organization = null, after = null, limit, status, rule } }) {
      const keeps = (one: Case): boolean =>
        (status === undefined || one.status === status) && (rule === undefined || one.rule === rule);
      const found = await tenants.list({ kind: 'case', organization, after, limit, keeps });
      return json({ data: found.items.map(present), next_after: found.nextAfter });
    },
  }),
  route({
    method: 'GET',
    path: '/admin/v1/signals',
    permission: 'cases.read',
    reach: 'installation',
    query: subjectSchema,
    handle({ tools }, { query }) {
      const known = tools.signals(query);
      return known === null ? notFound(query.kind, query.id) : json(known);
    },
  }),
  route({
    method: 'GET',
    path: '/admin/v1/cases/:id',
    permission: 'cases.read',
    reach: 'installation',
    async handle({ tenants }, { id }) {
      const found = await tenants.get('case', id);
      return found === null ? notFound('case', id) : json(present(found));
    },
  }),
  route({
    method: 'POST',
    path: '/admin/v1/cases/:id/review',
    permission: 'cases.review',
    reach: 'installation',
    body: z.strictObject({ verdict: z.enum(['confirmed', 'mistaken', 'unsure']), note, version }),
    async handle(call, { id, body }) {
      const found = await call.tenants.get('case', id);
      if (found === null) return notFound('case', id);
      if (body.version !== undefined && body.version !== found.version) return conflict('The case');
      const atMs = call.tools.clock.wallMs();
      const review = { verdict: body.verdict, by: call.principal.actor, atMs, note: body.note };
      const object: Case = { ...found.object, review, status: 'closed', closedAtMs: found.object.closedAtMs ?? atMs };
      return save(call, 'case.review', {
        object,
        expectVersion: found.version,
        details: { verdict: body.verdict, rule: object.rule },
      });
    },
  }),
];
