import { NotProvoked, response, signal, type FailureEntry } from '../entry.ts';
import { askAdmin, createFleet, make } from '../kit/admin.ts';
import { answer, CLIENT_PATHS, requestOf } from '../kit/answers.ts';
import type { GatewayUnderTest } from '../kit/gateway-process.ts';
import { askGateway } from '../kit/lab.ts';
import { noPostgres, startPostgres } from '../kit/servers.ts';
import { each, startStopwatch } from '../kit/stopwatch.ts';
import {
  foreignRequests,
  lateness,
  nobodysRequest,
  ownRequest,
  unknownRoutes,
  walkedRoutes,
  type TenantObjects,
  type WalkRequest,
} from '../kit/tenant-walk.ts';

/** In whatever of the one tenant has a name or a text. */
const MARK = 'victim-7ac1';

export const otherTenant: FailureEntry = {
  id: 'B12',
  component: 'tenants',
  failure: 'A way into the admin API checks who calls, and not whose object is asked for',
  effect: "A tenant reads or changes another's keys, limits, members or cases by writing its ids",
  signal:
    'The audit log of each organization names who made each change: a change by a stranger would stand there, and each change by its owner does; its chain of hashes is whole',
  response:
    "What is another organization's is not there: 404, the same as for what nobody has; 403 where the reach is not enough, 401 without a key. Lists hold the caller's own. Nothing of the other is told or changed",
  severity: 1,
  injection:
    'Two tenants with an object of each kind. For every route of the admin API, every id of the one wherever an id can stand, as the admin key and as the API key of the other and without a key; then the same routes as the owner, who has to be answered',
  boundMs: 60_000,
  async provoke(lab) {
    const unknown = unknownRoutes();
    if (unknown.length > 0) throw new NotProvoked(`what to send is not known for ${unknown.join(', ')}`);
    const replica = await lab.replica((call) => answer(call, ['fine']));
    const start = createFleet(lab, { pools: { harbor: { dialect: 'anthropic', replicas: [replica.url] } } });
    // The embedded store is the same behind the same port, and slower to start.
    const gateway = await start('gateway', noPostgres() === null ? (await lab.keep(startPostgres())).url : 'embedded');
    const victim = await makeTenant(gateway, MARK);
    const stranger = await makeTenant(gateway, 'stranger');
    const call = async (key: string): Promise<number> =>
      (await askGateway(gateway, { path: CLIENT_PATHS.anthropic, body: requestOf('harbor', 'hello'), key }).answer).status;
    await call(victim.objects.secret);
    const before = await stateOf(gateway, victim.objects);

    const routes = walkedRoutes();
    const requests = routes.flatMap((route) => foreignRequests(route, victim.objects));
    const nobodys = new Map<string, string>();
    for (const route of routes) {
      const request = nobodysRequest(route, victim.objects);
      if (request === null) continue;
      const { status, body } = await send(gateway, request, stranger.adminKey);
      nobodys.set(route.name, `${status} ${body.replaceAll('nobody', '')}`);
    }
    const elapsed = startStopwatch();
    const asked = await each(
      requests.flatMap((request) => (['admin key', 'API key', 'no key'] as const).map((caller) => ({ request, caller }))),
      8,
      async ({ request, caller }) => {
        const key = { 'admin key': stranger.adminKey, 'API key': stranger.objects.secret, 'no key': 'none' }[caller];
        const { status, body } = await send(gateway, request, key);
        const isTold =
          caller === 'admin key' && request.id !== ''
            ? `${status} ${body.replaceAll(request.id, '')}` !== nobodys.get(request.route.name)
            : isWrong(request, caller, status, body, victim.objects);
        return { request, caller, status, isWrong: isTold || body.includes(MARK) };
      },
    );
    const tookMs = elapsed();
    const wrong = asked.filter((one) => one.isWrong);
    const after = await stateOf(gateway, victim.objects);
    const stillServed = await call(victim.objects.secret);
    const audit = await auditOf(gateway, victim.objects.organization);
    const seenMs = elapsed() - tookMs;
    const byStranger = audit.filter(({ actor }) => actor === `key:${stranger.adminKeyId}`).length;

    // The owner, and for what an owner may not do, who runs the installation.
    const owned: { readonly request: WalkRequest; readonly status: number }[] = [];
    for (const route of routes.toSorted((a, b) => lateness(a) - lateness(b))) {
      const request = ownRequest(route, victim.objects);
      const { status } = await send(gateway, request, route.reach === 'installation' ? gateway.adminKey : victim.adminKey);
      owned.push({ request, status });
    }
    const refused = owned.filter(({ status }) => status < 200 || status > 299);
    const changes = owned.filter(({ request: { route } }) => route.method !== 'GET' && route.reach === 'organization').length;
    const audited = (await auditOf(gateway, null)).filter(({ actor }) => actor === `key:${victim.adminKeyId}`).length;
    const chain = await askAdmin(gateway, 'GET', 'audit/verify');
    return [
      response('a stranger is told nothing, on any route', wrong.length === 0 && asked.length > routes.length, {
        saw: `${asked.length - wrong.length} of ${asked.length} requests to ${routes.length} routes${wrong
          .slice(0, 4)
          .map(({ request, caller, status }) => `; ${request.route.method} ${request.path} as ${caller}: ${status}`)
          .join('')}`,
        afterMs: Math.round(tookMs / Math.max(1, asked.length)),
      }),
      response('and changes nothing', before === after && before.includes(MARK) && stillServed === 200, {
        saw: `${before.length} characters about it before, ${before === after ? 'the same' : 'others'} afterwards; its key is answered ${stillServed}`,
      }),
      response('the owner is answered on every route', refused.length === 0, {
        saw: `${owned.length - refused.length} of ${owned.length}${refused.map(({ request, status }) => `; ${request.route.name}: ${status}`).join('')}`,
      }),
      signal('the audit log has no change by the stranger', byStranger === 0 && audit.length > 5, {
        saw: `${byStranger} of ${audit.length} entries`,
        afterMs: seenMs,
      }),
      signal('it has each change by the owner, and is whole', audited === changes && chain.said.broken_at === null, {
        saw: `${audited} of ${changes}; ${chain.said.broken_at === null ? `${chain.said.entries} entries whole` : 'its chain is broken'}`,
      }),
    ];
  },
};

interface Tenant {
  readonly objects: TenantObjects;
  readonly adminKey: string;
  readonly adminKeyId: string;
}

/** One object of each kind. */
async function makeTenant(gateway: GatewayUnderTest, name: string): Promise<Tenant> {
  const idOf = async (path: string, body: object): Promise<string> => (await make(gateway, path, body)).id ?? '';
  const organization = await idOf('organizations', { name });
  const workspace = await idOf('workspaces', { organization, name });
  const inWorkspace = { organization, workspace, name };
  const { id: key = '', secret = '' } = await make(gateway, 'keys', inWorkspace);
  const admin = await make(gateway, 'keys', { organization, name, use: 'admin', role: 'admin' });
  const member = await idOf('members', { organization, email: `${name}@example.com`, role: 'operator' });
  const endUser = await idOf('end_users', { organization, user: name, limits: {} });
  const subject = { kind: 'key', id: key };
  const action = await idOf('actions', { organization, subject, rung: 'note', reason: 'seen' });
  const appealed = await idOf('actions', { organization, subject, rung: 'note', reason: 'seen' });
  const appeal = await idOf('appeals', { action: appealed, statement: name });
  // A report of a leaked key opens a case.
  const leaked = await make(gateway, 'keys', inWorkspace);
  await make(gateway, 'leaked_keys', { key: leaked.secret ?? 'none there' });
  const cases = await askAdmin(gateway, 'GET', `cases?organization=${organization}`);
  const objects = { organization, workspace, key, secret, member, endUser, action, appealed, appeal };
  return {
    objects: { ...objects, case: cases.said.data?.[0]?.id ?? '' },
    adminKey: admin.secret ?? '',
    adminKeyId: admin.id ?? '',
  };
}

const send = (gateway: GatewayUnderTest, { route, path, body }: WalkRequest, key: string) =>
  gateway.operator(path, { method: route.method, key, ...(body === undefined ? {} : { body }) });

function isWrong({ route }: WalkRequest, caller: string, status: number, body: string, of: TenantObjects): boolean {
  if (caller === 'no key') return status !== 401;
  if (status === 403) return caller === 'admin key' && route.reach === 'organization';
  // The id that was asked for may be repeated, and nothing else.
  if (status === 404) return false;
  const isAboutAnObject = route.path.includes(':id') || (route.method !== 'GET' && route.name !== 'POST leaked_keys');
  return isAboutAnObject || (status !== 200 && status !== 202) || Object.values(of).some((text) => body.includes(text));
}

/** Everything there is of a tenant, as who runs the installation sees it. */
async function stateOf(gateway: GatewayUnderTest, { organization }: TenantObjects): Promise<string> {
  const lists = ['workspaces', 'keys', 'members', 'end_users', 'actions', 'cases', 'appeals', 'audit'];
  const paths = [`organizations/${organization}`, ...lists.map((list) => `${list}?organization=${organization}&limit=100`)];
  return (await each(paths, 1, (path) => askAdmin(gateway, 'GET', path))).map(({ text }) => text).join('\n');
}

async function auditOf(gateway: GatewayUnderTest, organization: string | null): Promise<readonly { readonly actor?: string }[]> {
  const of = organization === null ? '' : `organization=${organization}&`;
  return (await askAdmin(gateway, 'GET', `audit?${of}limit=100`)).said.data ?? [];
}
