import { z } from 'zod';
import type { Appeal } from '#contracts/tenancy';
import { json, notFound, problem } from './answer.ts';
import { reversed } from './actions.ts';
import { id as idField, note, page } from './fields.ts';
import { present } from './present.ts';
import { route, type Route } from './route.ts';
import { save } from './save.ts';

export const appealRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/admin/v1/appeals',
    permission: 'tenants.read',
    query: z.strictObject({ organization: idField.optional(), status: z.enum(['open', 'decided']).optional(), ...page }),
    async handle({ tenants }, { query: { organization = null, after = null, limit, status } }) {
      const keeps = (appeal: Appeal): boolean => status === undefined || (status === 'open') === (appeal.decision === null);
      const found = await tenants.list({ kind: 'appeal', organization, after, limit, keeps });
      return json({ data: found.items.map(present), next_after: found.nextAfter });
    },
  }),
  route({
    method: 'POST',
    path: '/admin/v1/appeals',
    permission: 'tenants.read',
    isOpenToApiKeys: true,
    body: z.strictObject({ action: idField, statement: z.string().trim().min(1).max(4_000) }),
    async handle(call, { body }) {
      const action = await call.tenants.get('action', body.action);
      if (action === null) return notFound('action', body.action);
      if (action.object.reversedAtMs !== null) return problem('conflict', 'The action was reversed already');
      // Its id follows from the action's: an action is appealed once, and appeals cannot pile up.
      const id = `appeal_${action.object.id.slice(action.object.id.indexOf('_') + 1)}`;
      if ((await call.tenants.get('appeal', id)) !== null) return problem('conflict', `The action was appealed already: ${id}`);
      const object: Appeal = {
        kind: 'appeal',
        id,
        organization: action.object.organization,
        action: action.object.id,
        statement: body.statement,
        createdAtMs: call.tools.clock.wallMs(),
        decision: null,
      };
      return save(call, 'appeal.create', { object, expectVersion: 0, details: { action: object.action } });
    },
  }),
  route({
    method: 'GET',
    path: '/admin/v1/appeals/:id',
    permission: 'tenants.read',
    isOpenToApiKeys: true,
    async handle({ tenants }, { id }) {
      const found = await tenants.get('appeal', id);
      return found === null ? notFound('appeal', id) : json(present(found));
    },
  }),
  route({
    method: 'POST',
    path: '/admin/v1/appeals/:id/decide',
    permission: 'appeals.decide',
    reach: 'installation',
    body: z.strictObject({ verdict: z.enum(['upheld', 'overturned']), note }),
    async handle(call, { id, body }) {
      const found = await call.tenants.get('appeal', id);
      if (found === null) return notFound('appeal', id);
      if (found.object.decision !== null) return problem('conflict', `The appeal was ${found.object.decision.verdict} already`);
      const decision = { verdict: body.verdict, by: call.principal.actor, atMs: call.tools.clock.wallMs(), note: body.note };
      const action = body.verdict === 'upheld' ? null : await call.tenants.get('action', found.object.action);
      const undone = action !== null && action.object.reversedAtMs === null ? action : null;
      return save(call, 'appeal.decide', {
        object: { ...found.object, decision },
        expectVersion: found.version,
        details: { verdict: body.verdict, action: found.object.action },
        also:
          undone === null
            ? []
            : [{ object: reversed(call, undone.object, `appeal ${id} overturned it`), expectVersion: undone.version }],
      });
    },
  }),
];
