import { Hono } from 'hono';
import { z } from 'zod';
import type { Result } from '#core/kernel';
import type { UsageQuery, UsageRow } from '#storage';

/** What the control plane is given; it imports no engine and no gateway. */
export interface ControlOptions {
  /** The operator whose key these headers carry: its organization, or null for a key that may not operate. */
  readonly authenticate: (header: (name: string) => string | undefined) => { readonly organization: string } | null;
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
const usageParams = z.strictObject({
  from: moment.optional(),
  to: moment.optional(),
  group_by: z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(GROUPS)).min(1).max(GROUPS.length))
    .default(['key', 'model', 'day']),
});

/** The admin API and the metrics, as one fetch-style application. Every route asks for an operator first. */
export function createControl(options: ControlOptions): { readonly fetch: (request: Request) => Response | Promise<Response> } {
  const app = new Hono<{ Variables: { organization: string } }>();

  app.use('*', async (context, next) => {
    const operator = options.authenticate((name) => context.req.header(name));
    if (operator === null)
      return context.json(
        { error: { type: 'unauthenticated', message: 'This needs an admin key, as Authorization: Bearer or x-api-key' } },
        401,
      );
    context.set('organization', operator.organization);
    return next();
  });

  app.get('/metrics', (context) =>
    context.text(options.renderMetrics(), 200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }),
  );

  app.get('/admin/v1/status', (context) => context.json(options.status() as object));

  app.get('/admin/v1/usage', async (context) => {
    const params = usageParams.safeParse(context.req.query());
    if (!params.success) {
      const message = params.error.issues.map((issue) => `${issue.path.join('.') || 'query'}: ${issue.message}`).join('; ');
      return context.json({ error: { type: 'invalid_request', message } }, 400);
    }
    const toMs = params.data.to ?? options.wallMs() + DAY_MS;
    const fromMs = params.data.from ?? toMs - 31 * DAY_MS;
    // An operator sees its own organization, whatever else the store holds.
    const rows = await options.usage({ organization: context.get('organization'), fromMs, toMs, groupBy: params.data.group_by });
    if (!rows.ok) return context.json({ error: { type: 'unavailable', message: rows.error } }, 503);
    return context.json({ from_ms: fromMs, to_ms: toMs, group_by: params.data.group_by, rows: rows.value });
  });

  app.notFound((context) => context.json({ error: { type: 'not_found', message: 'No such path' } }, 404));
  app.onError((_, context) => context.json({ error: { type: 'internal', message: 'Internal error' } }, 500));
  return { fetch: (request) => app.fetch(request) };
}
