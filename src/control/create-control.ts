import { Hono, type Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { TenantObject } from '#contracts/tenancy';
import { StoreAway, type ControlStore, type Versioned } from '#storage';
import { problem, type Answer } from './answer.ts';
import type { OperateOptions } from './operate.ts';
import { isAllowed, type Principal } from './principal.ts';
import type { Route, Tools } from './route.ts';
import { adminRoutes } from './routes.ts';
import { createTenants } from './tenants.ts';

/** What the control plane is given; it imports no engine and no gateway. */
export interface ControlOptions extends Omit<OperateOptions, 'wallMs'>, Omit<Tools, 'verifyAudit'> {
  /** Whose key these headers carry, an API key included; null for none, an unknown one, or one that is revoked or over. */
  readonly authenticate: (header: (name: string) => string | undefined) => Principal | null;
  readonly store: ControlStore;
  /** Applies what was committed on this gateway at once; called before the answer is given, and may not throw. */
  readonly onCommitted: (objects: readonly Versioned<TenantObject>[]) => void;
  /** Told of a defect, for the log: the caller hears only that there was one. */
  readonly onDefect: (error: unknown, route: string) => void;
}

const BODY_BYTES_MAX = 64 * 1024;

/** The admin API and the metrics, as one fetch-style application. Every route asks who is there first. */
export function createControl(options: ControlOptions): { readonly fetch: (request: Request) => Response | Promise<Response> } {
  const app = new Hono<{ Variables: { principal: Principal } }>();

  app.use('*', async (context, next) => {
    const principal = options.authenticate((name) => context.req.header(name));
    if (principal === null)
      return render(problem('unauthenticated', 'This needs an admin key, as Authorization: Bearer or x-api-key'));
    context.set('principal', principal);
    return next();
  });
  app.use(
    '*',
    bodyLimit({
      maxSize: BODY_BYTES_MAX,
      onError: () => render(problem('request_too_large', `A body has at most ${BODY_BYTES_MAX} bytes`)),
    }),
  );

  const routes = adminRoutes({ ...options, wallMs: () => options.clock.wallMs() });
  for (const route of routes)
    app.on(route.method, route.path, async (context) => render(await run(route, context.get('principal'), context, options)));
  for (const [path, same] of Map.groupBy(routes, (route) => route.path)) {
    const methods = same.map((route) => route.method).join(', ');
    app.all(path, () => render(problem('method_not_allowed', `${path} takes ${methods}`)));
  }
  app.notFound(() => render(problem('not_found', 'No such path')));
  app.onError((error, context) => {
    if (error instanceof StoreAway)
      return render(
        problem(
          'unavailable',
          'The control store does not answer; nothing is known to have changed, so read before you try again',
        ),
      );
    options.onDefect(error, `${context.req.method} ${context.req.path}`);
    return render(problem('internal', 'Internal error'));
  });
  return { fetch: (request) => app.fetch(request) };
}

async function run(route: Route, principal: Principal, context: Context, options: ControlOptions): Promise<Answer> {
  if (!isAllowed(principal, route)) return problem('forbidden', whyNot(principal, route));
  const { store, onCommitted, clock } = options;
  const tenants = createTenants({ store, principal, wallMs: () => clock.wallMs(), onCommitted });
  const tools: Tools = { ...options, verifyAudit: () => store.verifyAudit() };
  const body = route.method === 'GET' ? undefined : await readJson(context);
  return route.handle({ principal, tenants, tools }, { params: context.req.param(), query: context.req.query(), body });
}

function whyNot({ use, role, reach }: Principal, route: Route): string {
  if (use === 'api') return 'An API key calls models; this needs an admin key';
  if (route.reach === 'installation' && reach !== 'installation') return 'This needs a key that reaches the whole installation';
  return `This needs the permission ${route.permission}, which the role ${role} does not include`;
}

async function readJson(context: Context): Promise<unknown> {
  const text = await context.req.text();
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function render(answer: Answer): Response {
  if (answer.kind === 'text') return new Response(answer.text, { headers: { 'content-type': answer.contentType } });
  // Keys are shown once: nothing on the way may keep them.
  return Response.json(answer.body, { status: answer.status, headers: { 'cache-control': 'no-store' } });
}
