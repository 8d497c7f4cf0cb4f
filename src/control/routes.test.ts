// Each test writes to a real embedded store, where a commit takes 3 to 15 ms: some take longer than 100 ms.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { may } from '#core/tenancy';
import { EVERY_ROLE, openAdminKit, type AdminKit } from './control-kit.fixture.ts';
import { adminRoutes } from './routes.ts';

/** What is asked of each route, so that whoever may ask is answered well. A route without a case here fails the test. */
type Objects = Readonly<
  Record<'organization' | 'workspace' | 'key' | 'member' | 'endUser' | 'action' | 'case' | 'appeal', string>
>;
interface Case {
  /** Whose objects are asked for. */
  readonly at: (objects: Objects) => string;
  readonly body?: (objects: Objects) => unknown;
  /** What another tenant is told: 404 for an object that is not its own; else its own answer, which must not name the other's. */
  readonly foreign: 404 | 'own';
}

const CASES: Readonly<Record<string, Case>> = {
  'GET /metrics': { at: () => '/metrics', foreign: 'own' },
  'GET /admin/v1/me': { at: () => '/admin/v1/me', foreign: 'own' },
  'GET /admin/v1/signals': { at: () => '/admin/v1/signals?kind=key&id=key_seen', foreign: 'own' },
  'GET /admin/v1/status': { at: () => '/admin/v1/status', foreign: 'own' },
  'GET /admin/v1/usage': { at: (one) => `/admin/v1/usage?organization=${one.organization}`, foreign: 404 },
  'GET /admin/v1/organizations': { at: () => '/admin/v1/organizations', foreign: 'own' },
  'POST /admin/v1/organizations': { at: () => '/admin/v1/organizations', body: () => ({ name: 'New' }), foreign: 'own' },
  'GET /admin/v1/organizations/:id': { at: (one) => `/admin/v1/organizations/${one.organization}`, foreign: 404 },
  'PATCH /admin/v1/organizations/:id': {
    at: (one) => `/admin/v1/organizations/${one.organization}`,
    body: () => ({ name: 'Renamed' }),
    foreign: 404,
  },
  'POST /admin/v1/organizations/:id/close': { at: (one) => `/admin/v1/organizations/${one.organization}/close`, foreign: 404 },
  'GET /admin/v1/organizations/:id/rate_limits': {
    at: (one) => `/admin/v1/organizations/${one.organization}/rate_limits`,
    foreign: 404,
  },
  'GET /admin/v1/workspaces': { at: (one) => `/admin/v1/workspaces?organization=${one.organization}`, foreign: 'own' },
  'POST /admin/v1/workspaces': {
    at: () => '/admin/v1/workspaces',
    body: (one) => ({ organization: one.organization, name: 'New' }),
    foreign: 404,
  },
  'GET /admin/v1/workspaces/:id': { at: (one) => `/admin/v1/workspaces/${one.workspace}`, foreign: 404 },
  'PATCH /admin/v1/workspaces/:id': {
    at: (one) => `/admin/v1/workspaces/${one.workspace}`,
    body: () => ({ limits: { 'workspace-rpm': { limit: 5 } } }),
    foreign: 404,
  },
  'POST /admin/v1/workspaces/:id/close': { at: (one) => `/admin/v1/workspaces/${one.workspace}/close`, foreign: 404 },
  'GET /admin/v1/keys': { at: (one) => `/admin/v1/keys?organization=${one.organization}`, foreign: 'own' },
  'POST /admin/v1/keys': {
    at: () => '/admin/v1/keys',
    body: (one) => ({ organization: one.organization, workspace: one.workspace, name: 'k' }),
    foreign: 404,
  },
  'GET /admin/v1/keys/:id': { at: (one) => `/admin/v1/keys/${one.key}`, foreign: 404 },
  'PATCH /admin/v1/keys/:id': { at: (one) => `/admin/v1/keys/${one.key}`, body: () => ({ name: 'renamed' }), foreign: 404 },
  'GET /admin/v1/keys/:id/limits': { at: (one) => `/admin/v1/keys/${one.key}/limits`, foreign: 404 },
  'POST /admin/v1/keys/:id/rotate': {
    at: (one) => `/admin/v1/keys/${one.key}/rotate`,
    body: () => ({ overlap_seconds: 60 }),
    foreign: 404,
  },
  'POST /admin/v1/keys/:id/revoke': { at: (one) => `/admin/v1/keys/${one.key}/revoke`, foreign: 404 },
  'GET /admin/v1/members': { at: (one) => `/admin/v1/members?organization=${one.organization}`, foreign: 'own' },
  'POST /admin/v1/members': {
    at: () => '/admin/v1/members',
    body: (one) => ({ organization: one.organization, email: 'a@example.com', role: 'reviewer' }),
    foreign: 404,
  },
  'GET /admin/v1/members/:id': { at: (one) => `/admin/v1/members/${one.member}`, foreign: 404 },
  'PATCH /admin/v1/members/:id': {
    at: (one) => `/admin/v1/members/${one.member}`,
    body: () => ({ role: 'admin' }),
    foreign: 404,
  },
  'POST /admin/v1/members/:id/remove': { at: (one) => `/admin/v1/members/${one.member}/remove`, foreign: 404 },
  'GET /admin/v1/end_users': { at: (one) => `/admin/v1/end_users?organization=${one.organization}`, foreign: 'own' },
  'GET /admin/v1/end_users/:id': { at: (one) => `/admin/v1/end_users/${one.endUser}`, foreign: 404 },
  'PUT /admin/v1/end_users': {
    at: () => '/admin/v1/end_users',
    body: (one) => ({ organization: one.organization, user: 'u-2', limits: {} }),
    foreign: 404,
  },
  'GET /admin/v1/actions': { at: (one) => `/admin/v1/actions?organization=${one.organization}`, foreign: 'own' },
  'POST /admin/v1/actions': {
    at: () => '/admin/v1/actions',
    body: (one) => ({
      organization: one.organization,
      subject: { kind: 'key', id: one.key },
      rung: 'suspend_key',
      reason: 'emergency',
    }),
    foreign: 404,
  },
  'GET /admin/v1/actions/:id': { at: (one) => `/admin/v1/actions/${one.action}`, foreign: 404 },
  'POST /admin/v1/actions/:id/reverse': {
    at: (one) => `/admin/v1/actions/${one.action}/reverse`,
    body: () => ({ because: 'a mistake' }),
    foreign: 404,
  },
  'GET /admin/v1/cases': { at: (one) => `/admin/v1/cases?organization=${one.organization}`, foreign: 'own' },
  'GET /admin/v1/cases/:id': { at: (one) => `/admin/v1/cases/${one.case}`, foreign: 404 },
  'POST /admin/v1/cases/:id/review': {
    at: (one) => `/admin/v1/cases/${one.case}/review`,
    body: () => ({ verdict: 'confirmed', note: 'seen' }),
    foreign: 404,
  },
  'GET /admin/v1/appeals': { at: (one) => `/admin/v1/appeals?organization=${one.organization}`, foreign: 'own' },
  'POST /admin/v1/appeals': {
    at: () => '/admin/v1/appeals',
    body: (one) => ({ action: one.action, statement: 'It was not us' }),
    foreign: 404,
  },
  'GET /admin/v1/appeals/:id': { at: (one) => `/admin/v1/appeals/${one.appeal}`, foreign: 404 },
  'POST /admin/v1/appeals/:id/decide': {
    at: (one) => `/admin/v1/appeals/${one.appeal}/decide`,
    body: () => ({ verdict: 'upheld', note: 'it stands' }),
    foreign: 404,
  },
  'POST /admin/v1/leaked_keys': { at: () => '/admin/v1/leaked_keys', body: () => ({ key: 'sk-of-nobody-here' }), foreign: 'own' },
  'GET /admin/v1/audit': { at: (one) => `/admin/v1/audit?organization=${one.organization}`, foreign: 'own' },
  'GET /admin/v1/audit/verify': { at: () => '/admin/v1/audit/verify', foreign: 'own' },
  'POST /admin/v1/import': {
    at: () => '/admin/v1/import',
    body: () => ({ source: 'test', objects: [{ kind: 'organization', id: 'org_imported', name: 'I', limits: {} }] }),
    foreign: 'own',
  },
};

const routes = adminRoutes({
  renderMetrics: () => '',
  usage: () => Promise.resolve({ ok: true, value: [] }),
  status: () => ({}),
  wallMs: () => 0,
}).map((route) => ({ ...route, name: `${route.method} ${route.path}` }));

let kit: AdminKit;
let stranger: Objects;
beforeAll(async () => {
  kit = await openAdminKit();
  stranger = await makeObjects();
});
afterAll(() => kit.close());

test('every route has a case here, and every case a route', () => {
  expect(routes.map(({ name }) => name).toSorted()).toEqual(Object.keys(CASES).toSorted());
});

test('what is no route is not found, and another method of a route is said to be one', async () => {
  const caller = kit.caller({ organization: 'org_x', reach: 'installation' });
  expect((await kit.ask(caller, 'GET', '/admin/v1/nothing')).body.error.type).toBe('not_found');
  expect((await kit.ask(caller, 'DELETE', '/admin/v1/keys')).body.error).toEqual({
    type: 'method_not_allowed',
    message: '/admin/v1/keys takes GET, POST',
  });
});

describe.each(routes)('$name', (route) => {
  const asked = CASES[route.name];
  let objects: Objects;
  beforeEach(async () => {
    if (asked === undefined) throw new Error('this route has no case');
    objects = await makeObjects();
  });
  const ask = (caller: string, of = objects) => kit.ask(caller, route.method, asked!.at(of), asked!.body?.(of));

  test('asks for a key, and tells nothing without one', async () => {
    expect(await ask('')).toMatchObject({ status: 401, body: { error: { type: 'unauthenticated' } } });
    expect((await ask('not a caller')).status).toBe(401);
  });

  test.each(EVERY_ROLE)('is open to %s of the installation exactly when the role includes it', async (role) => {
    const caller = kit.caller({ organization: stranger.organization, role, reach: 'installation' });
    const isAllowed = route.permission === null || may(role, route.permission);
    const { status, body } = await ask(caller);
    expect([status, body?.error?.type]).toEqual(isAllowed ? [expect.toBeOneOf([200, 201, 202]), undefined] : [403, 'forbidden']);
  });

  test.each(EVERY_ROLE)('is open to %s of the organization exactly when role and reach include it', async (role) => {
    const caller = kit.caller({ organization: objects.organization, role });
    const isAllowed = route.reach === 'organization' && (route.permission === null || may(role, route.permission));
    const { status, body } = await ask(caller);
    expect([status, body?.error?.type]).toEqual(isAllowed ? [expect.toBeOneOf([200, 201, 202]), undefined] : [403, 'forbidden']);
  });

  test('shows and changes nothing of another organization', async () => {
    const caller = kit.caller({ organization: stranger.organization });
    const before = kit.applied.length;
    const { status, text } = await ask(caller);
    if (route.reach === 'installation') expect(status).toBe(403);
    else expect(status).toEqual(asked!.foreign === 404 ? 404 : expect.toBeOneOf([200, 202]));
    // A refusal may repeat the id that was asked for, and nothing else of what it names.
    const told = status === 404 ? [] : Object.values(objects);
    for (const id of told) expect(text).not.toContain(id);
    expect(kit.applied.slice(before).every(({ object }) => object.organization === stranger.organization)).toBe(true);
  });

  test('is closed to API keys, but for what a suspended client needs to appeal', async () => {
    const own = kit.caller({ organization: objects.organization, use: 'api', role: null });
    const other = kit.caller({ organization: stranger.organization, use: 'api', role: null });
    expect((await ask(other)).status).toBe(route.isOpenToApiKeys ? 404 : 403);
    expect((await ask(own)).status).toEqual(route.isOpenToApiKeys ? expect.toBeOneOf([200, 201]) : 403);
  });

  test('refuses fields that it does not know', async () => {
    if (asked!.body === undefined) return;
    const caller = kit.caller({ organization: objects.organization, reach: 'installation' });
    const body = { ...(asked!.body(objects) as object), surprise: 1 };
    expect(await kit.ask(caller, route.method, asked!.at(objects), body)).toMatchObject({
      status: 400,
      body: { error: { type: 'invalid_request' } },
    });
  });
});

test("an id that no store takes is nobody's in a path, and a wrong field elsewhere", async () => {
  const caller = kit.caller({ organization: 'org_x', reach: 'installation' });
  for (const { method, path, name } of routes.filter((one) => one.path.includes(':id')))
    expect([name, (await kit.ask(caller, method, path.replace(':id', '%00'), CASES[name]?.body?.(stranger))).status]).toEqual([
      name,
      404,
    ]);
  for (const field of ['organization', 'after'])
    expect((await kit.ask(caller, 'GET', `/admin/v1/keys?${field}=%00`)).body.error.message).toMatch(/control characters/);
  const body = { organization: 'org_x', workspace: 'ws_\0', name: 'k' };
  expect((await kit.ask(caller, 'POST', '/admin/v1/keys', body)).status).toBe(400);
});

test('what an API key may reach is to read an action, and to appeal it', () => {
  expect(routes.filter(({ isOpenToApiKeys }) => isOpenToApiKeys).map(({ name }) => name)).toEqual([
    'GET /admin/v1/actions/:id',
    'POST /admin/v1/appeals',
    'GET /admin/v1/appeals/:id',
  ]);
});

/** One object of each kind in an organization of its own, written by the system. */
async function makeObjects(): Promise<Objects> {
  const { random, newKey } = kit.options;
  const mark = random.hex(6);
  const organization = `org_${mark}`;
  const of = { organization, createdAtMs: 1 };
  const subject = { kind: 'key', id: `key_${mark}` } as const;
  const action = {
    kind: 'action',
    subject,
    rung: 'slow',
    factor: 0.5,
    capabilities: [],
    reason: 'velocity',
    evidence: {},
    case: null,
    decidedBy: {
      kind: 'rule',
      id: 'velocity',
    },
    expiresAtMs: null,
    reversedAtMs: null,
    reversedBy: null,
    reversedBecause: null,
    ...of,
  } as const;
  const change = {
    put: [
      {
        kind: 'organization',
        id: organization,
        name: 'O',
        tier: null,
        limits: {},
        whenCutOff: { kind: 'serve' },
        appealUrl: null,
        closedAtMs: null,
        ...of,
      },
      { kind: 'workspace', id: `ws_${mark}`, name: 'W', limits: {}, closedAtMs: null, ...of },
      {
        kind: 'key',
        id: subject.id,
        workspace: `ws_${mark}`,
        name: 'k',
        use: 'api',
        role: null,
        reach: null,
        member: null,
        hash: newKey('api').hash,
        hint: '',
        scopes: {},
        limits: {},
        createdBy: 'system',
        expiresAtMs: null,
        revokedAtMs: null,
        replacedBy: null,
        ...of,
      },
      {
        kind: 'member',
        id: `mem_${mark}`,
        email: 'm@example.com',
        role: 'operator',
        reach: 'organization',
        removedAtMs: null,
        ...of,
      },
      { kind: 'end_user', id: `eu_${mark}`, limits: {}, ...of },
      { ...action, id: `act_${mark}` },
      { ...action, id: `act_a${mark}` },
      {
        kind: 'case',
        id: `case_${mark}`,
        organization,
        subject,
        rule: 'velocity',
        status: 'open',
        signals: {},
        occurrences: 1,
        openedAtMs: 1,
        lastSeenAtMs: 1,
        closedAtMs: null,
        review: null,
      },
      { kind: 'appeal', id: `appeal_a${mark}`, action: `act_a${mark}`, statement: 'no', decision: null, ...of },
    ].map((object) => ({ object: object as never, expectVersion: 0 })),
    audit: { atMs: 1, actor: 'system', act: 'test', organization, subject: organization, details: {} },
  };
  expect((await kit.store.commit(change)).kind).toBe('committed');
  return {
    organization,
    workspace: `ws_${mark}`,
    key: subject.id,
    member: `mem_${mark}`,
    endUser: `eu_${mark}`,
    action: `act_${mark}`,
    case: `case_${mark}`,
    appeal: `appeal_a${mark}`,
  };
}
