import { z } from 'zod';
import type { Result } from '#core/kernel';
import type { UsageQuery, UsageRow } from '#storage';
import { json, problem } from './answer.ts';
import { id } from './fields.ts';
import { route, type Route } from './route.ts';

/** What the process can say of itself. */
export interface OperateOptions {
  readonly renderMetrics: () => string;
  /** The error says why there is no answer now. */
  readonly usage: (query: UsageQuery) => Promise<Result<readonly UsageRow[], string>>;
  readonly status: () => unknown;
  readonly wallMs: () => number;
}

const DAY_MS = 86_400_000;
const GROUPS = ['organization', 'workspace', 'key', 'model', 'day', 'outcome'] as const;

const moment = z.union([
  z
    .string()
    .regex(/^\d{13}$/)
    .transform(Number),
  z.iso.date().transform((text) => Date.parse(text)),
  z.iso.datetime({ offset: true }).transform((text) => Date.parse(text)),
]);
const usageQuery = z.strictObject({
  from: moment.optional(),
  to: moment.optional(),
  organization: id.optional(),
  group_by: z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(GROUPS)).min(1).max(GROUPS.length))
    .default(['key', 'model', 'day']),
});

/** Metrics, status and usage, and whose key this is. */
export const operateRoutes = (options: OperateOptions): readonly Route[] => [
  route({
    method: 'GET',
    path: '/metrics',
    permission: 'usage.read',
    reach: 'installation',
    // A scraper may add parameters of its own.
    query: z.record(z.string(), z.string()),
    handle: () => ({ kind: 'text', contentType: 'text/plain; version=0.0.4; charset=utf-8', text: options.renderMetrics() }),
  }),
  route({
    method: 'GET',
    path: '/admin/v1/me',
    permission: null,
    handle: ({ principal: { actor, role, reach, organization } }) => json({ actor, role, reach, organization }),
  }),
  route({
    method: 'GET',
    path: '/admin/v1/status',
    permission: 'usage.read',
    reach: 'installation',
    handle: () => json(options.status() as object),
  }),
  route({
    method: 'GET',
    path: '/admin/v1/usage',
    permission: 'usage.read',
    query: usageQuery,
    async handle({ principal }, { query }) {
      const organization = query.organization ?? principal.organization;
      if (organization !== principal.organization && principal.reach !== 'installation')
        return problem('not_found', 'There is no such organization that this key can reach');
      const toMs = query.to ?? options.wallMs() + DAY_MS;
      const fromMs = query.from ?? toMs - 31 * DAY_MS;
      const rows = await options.usage({ organization, fromMs, toMs, groupBy: query.group_by });
      if (!rows.ok) return problem('unavailable', rows.error);
      return json({ from_ms: fromMs, to_ms: toMs, group_by: query.group_by, rows: rows.value });
    },
  }),
];
