import { adminRoutes } from '#control';

/** What one tenant has, by id; and the text of its API key. */
export interface TenantObjects {
  readonly organization: string;
  readonly workspace: string;
  readonly key: string;
  readonly secret: string;
  readonly member: string;
  readonly endUser: string;
  readonly action: string;
  readonly appealed: string;
  readonly appeal: string;
  readonly case: string;
}

/** One way into the admin API, as the table of its routes has it. */
export interface WalkedRoute {
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'PATCH' | 'PUT';
  readonly path: string;
  readonly reach: 'organization' | 'installation';
}

/** A request to a route that is about objects of a tenant. */
export interface WalkRequest {
  readonly route: WalkedRoute;
  readonly path: string;
  /** What stands for `:id`; empty where nothing does. */
  readonly id: string;
  readonly body: object | undefined;
}

export const walkedRoutes = (): readonly WalkedRoute[] =>
  adminRoutes({
    renderMetrics: () => '',
    usage: () => Promise.reject(new Error('not asked')),
    status: () => ({}),
    wallMs: () => 0,
  }).map(({ method, path, reach }) => ({ name: `${method} ${path.replace('/admin/v1/', '')}`, method, path, reach }));

/** Routes that write and of which it is not known here what to send them: nothing can be said of these. */
export const unknownRoutes = (): readonly string[] =>
  walkedRoutes().flatMap(({ name, method }) => (method === 'GET' || name in BODIES ? [] : [name]));

/** Every request to a route in which an object of the tenant is named: its ids wherever an id can stand, whatever their kind. */
export function foreignRequests(route: WalkedRoute, of: TenantObjects): readonly WalkRequest[] {
  const body = BODIES[route.name]?.(of);
  if (route.path.includes(':id')) {
    const { secret: _, ...ids } = of;
    return Object.values(ids).map((id) => withId(route, id, body));
  }
  if (route.method !== 'GET') return [{ route, path: route.path, id: '', body }];
  return ['', queryOf(route, of)].map((query) => ({ route, path: route.path + query, id: '', body }));
}

/** The same with an id that nobody has; null where none can stand. */
export const nobodysRequest = (route: WalkedRoute, of: TenantObjects): WalkRequest | null =>
  route.path.includes(':id') ? withId(route, 'nobody', BODIES[route.name]?.(of)) : null;

/** The one request to a route that its owner would send. */
export function ownRequest(route: WalkedRoute, of: TenantObjects): WalkRequest {
  const [, kind = ''] = /\/admin\/v1\/(\w+)\/:id/.exec(route.path) ?? [];
  const request = withId(route, OWN_IDS[kind]?.(of) ?? '', BODIES[route.name]?.(of));
  return route.method === 'GET' ? { ...request, path: request.path + queryOf(route, of) } : request;
}

const withId = (route: WalkedRoute, id: string, body: object | undefined): WalkRequest => ({
  route,
  path: route.path.replace(':id', id),
  id,
  body,
});

/** Reading first, and last what ends an object that others need. */
export const lateness = ({ name, method }: WalkedRoute): number =>
  method === 'GET'
    ? -1
    : name.endsWith('organizations/:id/close')
      ? ENDING.length + 1
      : ENDING.findIndex((end) => name.endsWith(end));

const ENDING = ['rotate', 'decide', 'reverse', 'revoke', 'remove', 'leaked_keys', 'close'];

const OWN_IDS: Readonly<Record<string, (of: TenantObjects) => string>> = {
  organizations: (of) => of.organization,
  workspaces: (of) => of.workspace,
  keys: (of) => of.key,
  members: (of) => of.member,
  end_users: (of) => of.endUser,
  actions: (of) => of.action,
  cases: (of) => of.case,
  appeals: (of) => of.appeal,
};

function queryOf({ path }: WalkedRoute, of: TenantObjects): string {
  if (path.endsWith('/signals')) return `?kind=key&id=${of.key}`;
  return /\/(usage|workspaces|keys|members|end_users|actions|cases|appeals|audit)$/.test(path)
    ? `?organization=${of.organization}`
    : '';
}

const nothing = (): undefined => undefined;
const BODIES: Readonly<Record<string, (of: TenantObjects) => object | undefined>> = {
  'POST organizations': () => ({ name: 'taken' }),
  'PATCH organizations/:id': () => ({ name: 'taken' }),
  'POST organizations/:id/close': nothing,
  'POST workspaces': ({ organization }) => ({ organization, name: 'taken' }),
  'PATCH workspaces/:id': () => ({ name: 'taken' }),
  'POST workspaces/:id/close': nothing,
  'POST keys': ({ organization, workspace }) => ({ organization, workspace, name: 'taken' }),
  'PATCH keys/:id': () => ({ name: 'taken' }),
  'POST keys/:id/rotate': () => ({ overlap_seconds: 60 }),
  'POST keys/:id/revoke': nothing,
  'POST members': ({ organization }) => ({ organization, email: 'taken@example.com', role: 'reviewer' }),
  'PATCH members/:id': () => ({ role: 'admin' }),
  'POST members/:id/remove': nothing,
  'PUT end_users': ({ organization }) => ({ organization, user: 'taken', limits: {} }),
  'POST actions': ({ organization, key }) => ({
    organization,
    subject: { kind: 'key', id: key },
    rung: 'suspend_key',
    reason: 'taken',
  }),
  'POST actions/:id/reverse': () => ({ because: 'taken' }),
  'POST cases/:id/review': () => ({ verdict: 'confirmed', note: 'taken' }),
  'POST appeals': ({ action }) => ({ action, statement: 'taken' }),
  'POST appeals/:id/decide': () => ({ verdict: 'overturned', note: 'taken' }),
  'POST leaked_keys': ({ secret }) => ({ key: secret }),
  'POST import': ({ organization }) => ({
    source: 'test',
    objects: [{ kind: 'organization', id: organization, name: 'taken', limits: {} }],
  }),
};
