// Each test writes to a real embedded store, where a commit takes 3 to 15 ms: some take longer than 100 ms.
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readKey } from '#core/tenancy';
import { createVirtualClock } from '#runtime';
import { createBoundedStore, StoreAway } from '#storage';
import { createControl } from './create-control.ts';
import { askOf, EVERY_ROLE, openAdminKit, type AdminKit, type Asked } from './control-kit.fixture.ts';

let kit: AdminKit;
/** Reaches everything. */
let root = '';
/** An admin of `organization` alone. */
let admin = '';
let organization = '';
let workspace = '';

beforeAll(async () => {
  kit = await openAdminKit();
  root = kit.caller({ organization: 'org_root', reach: 'installation' });
});
afterAll(() => kit.close());
beforeEach(async () => {
  organization = (await kit.ask(root, 'POST', '/admin/v1/organizations', { name: 'Acme' })).body.id;
  admin = kit.caller({ organization });
  workspace = (await kit.ask(admin, 'POST', '/admin/v1/workspaces', { name: 'Search' })).body.id;
});

const newKey = (more: object = {}, caller = admin): Promise<Asked> =>
  kit.ask(caller, 'POST', '/admin/v1/keys', { organization, workspace, name: 'k', ...more });
const lastAudit = async (): Promise<Record<string, unknown>> => {
  const entries = await kit.store.audit({ organization: null, after: 0, max: 1_000 });
  return { ...entries.at(-1) };
};

describe('keys', () => {
  test('a new key is shown once, is stored as its hash, and is told to this gateway at once', async () => {
    const { status, body } = await newKey({
      limits: { rpm: { limit: 10 } },
      scopes: { models: ['m'], addresses: ['10.0.0.0/8'] },
    });
    expect(status).toBe(201);
    expect(readKey(body.secret)).toEqual({ kind: 'ours', use: 'api', isChecked: true });
    const stored = await kit.store.get('key', body.id);
    expect(stored?.object.hash).toEqual(kit.options.hashKey(body.secret));
    expect(kit.applied.at(-1)?.object).toEqual(stored?.object);
    const shown = await kit.ask(admin, 'GET', `/admin/v1/keys/${body.id}`);
    expect(shown.body).toMatchObject({ organization, workspace, limits: { rpm: { limit: 10 } }, hint: body.secret.slice(-4) });
    expect(shown.text).not.toContain(stored?.object.hash.hex);
    expect(shown.text).not.toContain(body.secret);
    expect(JSON.stringify(await lastAudit())).not.toContain(body.secret);
  });

  test('rotation makes a like key and lets the old one live for the overlap', async () => {
    const { body: old } = await newKey({ scopes: { models: ['m'] }, limits: { rpm: { limit: 3 } } });
    const now = kit.clock.wallMs();
    const { status, body: next } = await kit.ask(admin, 'POST', `/admin/v1/keys/${old.id}/rotate`, { overlap_seconds: 600 });
    expect(status).toBe(201);
    expect(next).toMatchObject({ scopes: { models: ['m'] }, limits: { rpm: { limit: 3 } }, expires_at_ms: null });
    expect(next.secret).not.toBe(old.secret);
    expect(next.replaces).toEqual({ id: old.id, expires_at_ms: now + 600_000 });
    expect((await kit.ask(admin, 'GET', `/admin/v1/keys/${old.id}`)).body).toMatchObject({
      replaced_by: next.id,
      expires_at_ms: now + 600_000,
      revoked_at_ms: null,
    });
    expect((await kit.ask(admin, 'POST', `/admin/v1/keys/${old.id}/rotate`, {})).status).toBe(409);
  });

  test('an overlap never lengthens the life of a key', async () => {
    const expires_at_ms = kit.clock.wallMs() + 1_000;
    const { body: old } = await newKey({ expires_at_ms });
    const { body } = await kit.ask(admin, 'POST', `/admin/v1/keys/${old.id}/rotate`, { overlap_seconds: 600 });
    expect(body.replaces.expires_at_ms).toBe(expires_at_ms);
  });

  test('a revocation names the gateways that have not acknowledged it, within 5 seconds', async () => {
    const { body: key } = await newKey();
    await kit.store.heartbeat({ id: 'gw_deaf', name: 'deaf', commit: 0 });
    await kit.store.heartbeat({ id: 'gw_ready', name: 'ready', commit: 1_000_000 });
    const asked = kit.ask(admin, 'POST', `/admin/v1/keys/${key.id}/revoke`);
    let answer: Asked | null = null;
    void asked.then((done) => (answer = done));
    const startUs = kit.clock.nowUs();
    // The store answers in real time, the clock moves when told: one look after another until the time is over.
    while (answer === null) {
      await new Promise(setImmediate);
      await kit.clock.runNext();
    }
    expect(kit.clock.nowUs() - startUs).toBeLessThan(5_000_000);
    expect((await asked).body).toEqual({
      id: key.id,
      revoked_at_ms: expect.any(Number),
      acknowledged: [{ id: 'gw_ready', name: 'ready' }],
      not_acknowledged: [{ id: 'gw_deaf', name: 'deaf', seen_ms_ago: expect.any(Number) }],
    });
    await Promise.all([kit.store.depart('gw_deaf'), kit.store.depart('gw_ready')]);
  });

  test('revoking twice is revoking once, and what is revoked cannot be changed or rotated', async () => {
    const { body: key } = await newKey();
    const [first, second] = [
      await kit.ask(admin, 'POST', `/admin/v1/keys/${key.id}/revoke`),
      await kit.ask(admin, 'POST', `/admin/v1/keys/${key.id}/revoke`),
    ];
    expect(first.body).toMatchObject({ acknowledged: [], not_acknowledged: [] });
    expect(second.body.revoked_at_ms).toBe(first.body.revoked_at_ms);
    expect((await kit.ask(admin, 'PATCH', `/admin/v1/keys/${key.id}`, { name: 'x' })).status).toBe(409);
    expect((await kit.ask(admin, 'POST', `/admin/v1/keys/${key.id}/rotate`, {})).status).toBe(409);
  });

  test('a revocation that was written stands, even when the store goes away before gateways could be asked', async () => {
    const { body: key } = await newKey();
    const control = createControl({ ...kit.options, awaitAcknowledged: () => Promise.reject(new StoreAway('gone')) });
    const { status, body } = await askOf(control, admin, 'POST', `/admin/v1/keys/${key.id}/revoke`);
    expect([status, body.not_acknowledged, body.because]).toEqual([200, null, expect.stringContaining('stopped answering')]);
    expect((await kit.store.get('key', key.id))?.object.revokedAtMs).toBe(body.revoked_at_ms);
  });

  test.each([
    [{ scopes: { addresses: ['10.0.0.0/33'] } }, 'scopes.addresses.0'],
    [{ scopes: { addresses: ['example.com'] } }, 'scopes.addresses.0'],
    [{ limits: { nosuch: { limit: 1 } } }, 'no rule is called "nosuch"; there are rpm'],
    [{ limits: { rpm: { limit: -1 } } }, 'limits.rpm.limit'],
    [{ expires_at_ms: 1 }, 'expires_at_ms'],
    [{ workspace: undefined }, 'workspace'],
    [{ role: 'admin' }, 'add "use": "admin"'],
    [{ use: 'admin' }, 'workspace: an admin key belongs to none'],
    [{ use: 'admin', workspace: undefined }, 'role: an admin key has one'],
    [{ name: ' ' }, 'name'],
  ])('a key with %j is refused in words that say what to do', async (more, words) => {
    const { status, body } = await newKey(more);
    expect([status, body.error.type, body.error.message]).toEqual([400, 'invalid_request', expect.stringContaining(words)]);
  });

  test('a key cannot be made in a workspace of another organization, nor in a closed one', async () => {
    const other = (await kit.ask(root, 'POST', '/admin/v1/organizations', { name: 'Other' })).body.id;
    const foreign = (await kit.ask(root, 'POST', '/admin/v1/workspaces', { organization: other, name: 'W' })).body.id;
    expect((await newKey({ workspace: foreign })).status).toBe(404);
    expect((await newKey({ workspace: foreign }, root)).status).toBe(404);
    await kit.ask(admin, 'POST', `/admin/v1/workspaces/${workspace}/close`);
    expect((await newKey()).status).toBe(409);
  });
});

describe('who may give what', () => {
  test.each(EVERY_ROLE.filter((role) => role !== 'admin'))('%s neither makes nor takes admin keys', async (role) => {
    const caller = kit.caller({ organization, role, reach: 'installation' });
    const made = { use: 'admin', role: 'read_only', workspace: undefined };
    const { body: key } = await newKey(made);
    expect((await newKey(made, caller)).status).toBe(403);
    for (const [method, route, body] of [
      ['PATCH', '', { name: 'x' }],
      ['POST', '/rotate', {}],
      ['POST', '/revoke', {}],
    ] as const)
      expect((await kit.ask(caller, method, `/admin/v1/keys/${key.id}${route}`, body)).status).toBe(403);
  });

  test('an admin of an organization neither makes, sees nor rotates what reaches the installation', async () => {
    const above = { use: 'admin', role: 'admin', reach: 'installation', workspace: undefined };
    const { body: key } = await newKey(above, root);
    expect((await newKey(above)).status).toBe(403);
    expect((await kit.ask(admin, 'GET', `/admin/v1/keys/${key.id}`)).status).toBe(404);
    expect((await kit.ask(admin, 'POST', `/admin/v1/keys/${key.id}/rotate`, {})).status).toBe(404);
    expect((await kit.ask(admin, 'GET', '/admin/v1/keys?use=admin')).body.data).toEqual([]);
    const member = { email: 'a@example.com', role: 'admin', reach: 'installation' };
    expect((await kit.ask(admin, 'POST', '/admin/v1/members', member)).status).toBe(403);
    const { body: boss } = await kit.ask(root, 'POST', '/admin/v1/members', { organization, ...member });
    expect((await kit.ask(admin, 'GET', `/admin/v1/members/${boss.id}`)).status).toBe(404);
    expect((await newKey({ use: 'admin', member: boss.id, workspace: undefined })).status).toBe(404);
  });

  test('an organization tightens the limits that it was given, and cannot loosen them', async () => {
    const { body: key } = await newKey();
    const patch = (limits: object, caller = admin): Promise<Asked> =>
      kit.ask(caller, 'PATCH', `/admin/v1/keys/${key.id}`, { limits });
    expect((await patch({ rpm: { limit: 600 } })).status).toBe(200);
    expect((await patch({ rpm: { limit: 601 } })).body.error).toMatchObject({
      type: 'forbidden',
      message: expect.stringContaining('600'),
    });
    expect((await patch({ rpm: { burst: 601 } })).status).toBe(403);
    expect((await patch({ rpm: { limit: 5_000, burst: 700 } }, root)).status).toBe(200);
    // What its operator gave it may stay.
    expect((await patch({ rpm: { limit: 5_000, burst: 700 }, tpm: { limit: 9 } })).status).toBe(200);
    for (const field of [{ tier: 'large' }, { limits: {} }, { when_cut_off: { kind: 'serve' } }, { appeal_url: null }])
      expect((await kit.ask(admin, 'PATCH', `/admin/v1/organizations/${organization}`, field)).status).toBe(403);
  });

  test("a member's keys have the member's role, follow a change of it, and end with the member", async () => {
    const { body: member } = await kit.ask(admin, 'POST', '/admin/v1/members', { email: 'm@example.com', role: 'operator' });
    const { body: key } = await newKey({ use: 'admin', member: member.id, workspace: undefined });
    expect(key).toMatchObject({ role: 'operator', reach: 'organization', member: member.id });
    expect((await kit.ask(admin, 'GET', `/admin/v1/keys?member=${member.id}`)).body.data).toHaveLength(1);
    await kit.ask(admin, 'PATCH', `/admin/v1/members/${member.id}`, { role: 'reviewer' });
    expect((await kit.store.get('key', key.id))?.object.role).toBe('reviewer');
    expect((await kit.ask(admin, 'POST', `/admin/v1/members/${member.id}/remove`)).status).toBe(200);
    expect((await kit.store.get('key', key.id))?.object.revokedAtMs).toBe(kit.clock.wallMs());
    expect((await newKey({ use: 'admin', member: member.id, workspace: undefined })).status).toBe(409);
  });
});

describe('changes', () => {
  test('a change meant for another version is a conflict, and changes nothing', async () => {
    const { body: key } = await newKey();
    expect((await kit.ask(admin, 'PATCH', `/admin/v1/keys/${key.id}`, { name: 'a', version: 1 })).body.version).toBe(2);
    const late = await kit.ask(admin, 'PATCH', `/admin/v1/keys/${key.id}`, { name: 'b', version: 1 });
    expect([late.status, late.body.error.type]).toEqual([409, 'conflict']);
    expect((await kit.ask(admin, 'GET', `/admin/v1/keys/${key.id}`)).body.name).toBe('a');
  });

  test('of many changes at once each is either made or told that somebody was faster', async () => {
    const { body: key } = await newKey();
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, at) => kit.ask(admin, 'PATCH', `/admin/v1/keys/${key.id}`, { name: `n${at}` })),
    );
    const made = answers.filter(({ status }) => status === 200).length;
    expect(answers.every(({ status }) => status === 200 || status === 409)).toBe(true);
    expect((await kit.store.get('key', key.id))?.version).toBe(1 + made);
  });

  test('every change names its actor in the audit log, which an organization sees for itself alone', async () => {
    await newKey({ name: 'audited' });
    expect(await lastAudit()).toMatchObject({
      actor: expect.stringContaining('key:'),
      act: 'key.create',
      organization,
      details: { name: 'audited' },
    });
    const { body } = await kit.ask(admin, 'GET', '/admin/v1/audit?limit=2');
    expect(body.data.map((entry: { act: string }) => entry.act)).toEqual(['organization.create', 'workspace.create']);
    const rest = await kit.ask(admin, 'GET', `/admin/v1/audit?after=${body.next_after}`);
    expect(rest.body).toMatchObject({ data: [{ act: 'key.create', organization }], next_after: null });
    expect((await kit.ask(root, 'GET', '/admin/v1/audit/verify')).body).toMatchObject({ broken_at: null });
  });

  test('lists come in pages that together hold each object once, filtered or not', async () => {
    for (let at = 0; at < 7; at++) await newKey({ name: `k${at}` });
    for (const filter of ['', `&workspace=${workspace}`]) {
      const names: string[] = [];
      let pages = 0;
      for (let after = ''; pages === 0 || after !== ''; pages++) {
        const { body } = await kit.ask(admin, 'GET', `/admin/v1/keys?limit=3${filter}${after}`);
        names.push(...body.data.map((key: { name: string }) => key.name));
        after = body.next_after === null ? '' : `&after=${body.next_after}`;
      }
      expect([names.toSorted(), pages]).toEqual([['k0', 'k1', 'k2', 'k3', 'k4', 'k5', 'k6'], 3]);
    }
  });

  test("an end user's limits are kept under a hash of its name, and put again over themselves", async () => {
    const put = (limits: object): Promise<Asked> =>
      kit.ask(admin, 'PUT', '/admin/v1/end_users', { user: 'ada@example.com', limits });
    const { status, body, text } = await put({ rpm: { limit: 5 } });
    expect([status, (await put({ rpm: { limit: 4 } })).body.version]).toEqual([201, 2]);
    expect(text).not.toContain('ada@example');
    expect((await kit.ask(admin, 'GET', `/admin/v1/end_users/${body.id}`)).body.limits).toEqual({ rpm: { limit: 4 } });
  });
});

describe('abuse', () => {
  const suspend = (subject: object, more: object = {}): Promise<Asked> =>
    kit.ask(root, 'POST', '/admin/v1/actions', { organization, subject, rung: 'suspend_key', reason: 'emergency', ...more });

  test('a person suspends a key at once, its client appeals with that key, and overturning the appeal gives it back', async () => {
    const { body: key } = await newKey();
    const { body: action } = await suspend({ kind: 'key', id: key.id });
    expect(action).toMatchObject({
      rung: 'suspend_key',
      reason: 'emergency',
      decided_by: { kind: 'person' },
      reversed_at_ms: null,
    });
    const client = kit.caller({ organization, use: 'api', role: null, actor: `key:${key.id}` });
    const appealed = await kit.ask(client, 'POST', '/admin/v1/appeals', { action: action.id, statement: 'It was a test' });
    expect(appealed.status).toBe(201);
    expect((await kit.ask(client, 'POST', '/admin/v1/appeals', { action: action.id, statement: 'Again' })).status).toBe(409);
    const decided = await kit.ask(root, 'POST', `/admin/v1/appeals/${appealed.body.id}/decide`, {
      verdict: 'overturned',
      note: 'so it was',
    });
    expect(decided.body.decision).toMatchObject({ verdict: 'overturned' });
    expect((await kit.ask(client, 'GET', `/admin/v1/actions/${action.id}`)).body).toMatchObject({
      reversed_at_ms: expect.any(Number),
      reversed_because: expect.stringContaining(appealed.body.id),
    });
    expect(
      (await kit.ask(root, 'POST', `/admin/v1/appeals/${appealed.body.id}/decide`, { verdict: 'upheld', note: 'no' })).status,
    ).toBe(409);
  });

  test('an action is reversed in one call, once', async () => {
    const { body: key } = await newKey();
    const { body: action } = await suspend({ kind: 'key', id: key.id });
    const reverse = (): Promise<Asked> =>
      kit.ask(root, 'POST', `/admin/v1/actions/${action.id}/reverse`, { because: 'a mistake' });
    const [first, second] = [await reverse(), await reverse()];
    expect(first.body).toMatchObject({ reversed_because: 'a mistake', version: 2 });
    expect(second.body).toEqual(first.body);
    expect((await kit.ask(admin, 'GET', `/admin/v1/actions?subject=${key.id}&in_force=true`)).body.data).toEqual([]);
    expect((await kit.ask(admin, 'GET', `/admin/v1/actions?subject=${key.id}`)).body.data).toHaveLength(1);
  });

  test.each([
    [{ rung: 'slow' }, 'factor'],
    [{ rung: 'note', factor: 0.5 }, 'factor'],
    [{ rung: 'block_capability' }, 'capabilities'],
    [{ rung: 'block_capability', capabilities: ['everything'] }, 'capabilities.0'],
    [{ rung: 'suspend_organization' }, 'subject'],
    [{ rung: 'suspend_key', subject: { kind: 'workspace', id: 'ws_x' } }, 'subject'],
    [{ reason: 'Because I say so' }, 'reason'],
  ])('an action with %j is refused', async (more, words) => {
    const { status, body } = await suspend({ kind: 'key', id: 'key_x' }, more);
    expect([status, body.error.message]).toEqual([400, expect.stringContaining(words)]);
  });

  test('an action about a subject that the organization does not have is refused', async () => {
    const { body: key } = await newKey();
    const other = (await kit.ask(root, 'POST', '/admin/v1/organizations', { name: 'Other' })).body.id;
    expect((await suspend({ kind: 'key', id: key.id }, { organization: other })).status).toBe(404);
    expect((await suspend({ kind: 'key', id: 'key_none' })).status).toBe(404);
    expect((await suspend({ kind: 'address_block', id: '10.0.0.0/8' }, { rung: 'note' })).status).toBe(201);
  });

  const report = (body: object, caller = root): Promise<Asked> => kit.ask(caller, 'POST', '/admin/v1/leaked_keys', body);

  test('a reported key is revoked at once, opens one case however often it is reported, and its owner sees why', async () => {
    const { body: key } = await newKey();
    expect((await report({ key: key.secret })).body).toEqual({ status: 'received' });
    expect((await kit.store.get('key', key.id))?.object.revokedAtMs).toBe(kit.clock.wallMs());
    expect(kit.applied.filter(({ object }) => object.id === key.id)).toHaveLength(2);
    await report({ key: key.secret });
    await report({ hash: { kind: 'hmac_sha256', hex: kit.options.hashKey(key.secret).hex } });
    const cases = await kit.ask(root, 'GET', `/admin/v1/cases?organization=${organization}`);
    expect(cases.body.data).toMatchObject([{ rule: 'leaked_key', status: 'open', subject: { kind: 'key', id: key.id } }]);
    const notes = await kit.ask(admin, 'GET', '/admin/v1/actions');
    expect(notes.body.data).toMatchObject([{ rung: 'note', reason: 'leaked_key', decided_by: { kind: 'leak_report' } }]);
    const reviewed = await kit.ask(root, 'POST', `/admin/v1/cases/${cases.body.data[0].id}/review`, {
      verdict: 'confirmed',
      note: 'in a public repository',
    });
    expect(reviewed.body).toMatchObject({ status: 'closed', review: { verdict: 'confirmed' } });
  });

  test('a report of a key that moved in is found by its SHA-256', async () => {
    const secret = `sk-moved-${organization}`;
    const sha256 = createHash('sha256').update(secret).digest('hex');
    const object = {
      kind: 'key',
      sha256,
      organization,
      workspace,
      name: 'm',
      hint: '',
      models: null,
      limits: {},
      expires_at_ms: null,
      is_revoked: false,
    };
    const { body } = await kit.ask(root, 'POST', '/admin/v1/import', { source: 'test', objects: [object] });
    await report({ key: secret });
    expect((await kit.store.get('key', body.results[0].id))?.object.revokedAtMs).not.toBeNull();
  });

  test('whether a reported key exists, or whose it is, is told by neither the answer nor the work done for it', async () => {
    const { body: key } = await newKey();
    const stranger = kit.caller({ organization: 'org_stranger' });
    const commits = async (): Promise<number> => (await lastAudit())['commit'] as number;
    const before = await commits();
    const answers = [
      await report({ key: 'sk-nobody-has-this' }, stranger),
      await report({ key: key.secret }, stranger),
      await report({ key: key.secret }, admin),
    ];
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(await commits()).toBe(before + 3);
    // The report of a stranger does not reach what is not its own; that of its owner does.
    expect((await kit.store.get('key', key.id))?.version).toBe(2);
    const log = JSON.stringify(await kit.store.audit({ organization: null, after: before, max: 10 }));
    expect(log).not.toContain(key.secret);
  });
});

describe('import', () => {
  const objects = () => [
    { kind: 'organization', id: `org_i${organization.slice(4)}`, name: 'I', limits: { 'spend-month': { limit: 5 } } },
    {
      kind: 'workspace',
      id: `ws_i${organization.slice(4)}`,
      organization: `org_i${organization.slice(4)}`,
      name: 'W',
      limits: {},
      is_closed: false,
    },
    {
      kind: 'key',
      sha256: createHash('sha256').update(organization).digest('hex'),
      organization: `org_i${organization.slice(4)}`,
      workspace: `ws_i${organization.slice(4)}`,
      name: 'k',
      hint: 'abcd',
      models: ['m'],
      limits: { rpm: { limit: 9 } },
      expires_at_ms: null,
      is_revoked: false,
    },
  ];
  const send = (list: readonly object[]): Promise<Asked> =>
    kit.ask(root, 'POST', '/admin/v1/import', { source: 'litellm', objects: list });
  const outcomes = ({ body }: Asked): readonly string[] => body.results.map(({ outcome }: { outcome: string }) => outcome);

  test('running an import twice changes nothing', async () => {
    expect(outcomes(await send(objects()))).toEqual(['created', 'created', 'created']);
    const { commit } = await lastAudit();
    await kit.clock.advance(60_000);
    expect(outcomes(await send(objects()))).toEqual(['unchanged', 'unchanged', 'unchanged']);
    expect((await lastAudit())['commit']).toBe(commit);
  });

  test('what was changed here since stays as it is, and is said to differ', async () => {
    const { body } = await send(objects());
    await kit.ask(root, 'PATCH', `/admin/v1/keys/${body.results[2].id}`, { limits: { rpm: { limit: 2 } } });
    expect(outcomes(await send(objects()))).toEqual(['unchanged', 'unchanged', 'differs']);
    expect((await kit.store.get('key', body.results[2].id))?.object.limits).toEqual({ rpm: { limit: 2 } });
  });

  test("the id of a key does not tell the key's hash, and the hash is kept as it was", async () => {
    const { body } = await send(objects());
    const sha256 = createHash('sha256').update(organization).digest('hex');
    const stored = await kit.store.get('key', body.results[2].id);
    expect(stored?.object.hash).toEqual({ kind: 'sha256', hex: sha256 });
    expect(stored?.object.id).not.toContain(sha256.slice(0, 8));
  });

  test('a child without its parent, or of another organization, stops the whole request', async () => {
    const [, , key] = objects();
    expect((await send([key!])).status).toBe(404);
    expect((await send([...objects().slice(0, 2), { ...key!, workspace }])).status).toBe(404);
    expect(await kit.store.get('organization', `org_i${organization.slice(4)}`)).toBeNull();
  });
});

describe('the edge', () => {
  test('metrics are text, status and usage as they were', async () => {
    expect((await kit.ask(root, 'GET', '/metrics?job=x')).text).toBe('plimsoll_requests 1\n');
    expect((await kit.ask(root, 'GET', '/admin/v1/status')).body).toEqual({ ready: true });
    const { body } = await kit.ask(admin, 'GET', '/admin/v1/usage?from=2026-01-01&to=2026-01-02&group_by=model');
    expect(body).toEqual({ from_ms: Date.UTC(2026, 0, 1), to_ms: Date.UTC(2026, 0, 2), group_by: ['model'], rows: [] });
    expect((await kit.ask(admin, 'GET', '/admin/v1/usage?group_by=color')).status).toBe(400);
  });

  test('a tenant reads the limits in force for it, and where a key stands', async () => {
    await kit.ask(root, 'PATCH', `/admin/v1/organizations/${organization}`, { tier: 'large' });
    const rules = await kit.ask(admin, 'GET', `/admin/v1/organizations/${organization}/rate_limits`);
    expect(rules.body).toMatchObject({
      tier: 'large',
      data: expect.arrayContaining([expect.objectContaining({ rule: 'rpm', limit: 6_000 })]),
    });
    const { body: key } = await newKey();
    expect((await kit.ask(admin, 'GET', `/admin/v1/keys/${key.id}/limits`)).body).toMatchObject({
      limits: [{ rule: 'rpm', left: 5, bounds: { overshoot: 0 } }],
      binds_next: { rule: 'rpm' },
    });
  });

  test.each([
    ['not json', 400, 'must be JSON'],
    [JSON.stringify({ name: 'x'.repeat(70_000) }), 413, '65536 bytes'],
  ])('a body that cannot be taken is refused', async (body, status, words) => {
    const answer = await kit.ask(root, 'POST', '/admin/v1/organizations', body);
    expect([answer.status, answer.body.error.message]).toEqual([status, expect.stringContaining(words)]);
  });

  test('a limit that cannot be kept exactly is refused where it is set, in words', async () => {
    const made = (await kit.ask(root, 'POST', '/admin/v1/organizations', { name: 'Odd' })).body;
    const answer = await kit.ask(root, 'PATCH', `/admin/v1/organizations/${made.id}`, {
      limits: { rpm: { limit: 999_999_999_989 } },
    });
    expect([answer.status, answer.body.error.message]).toEqual([400, 'limits: rpm: choose a rounder limit']);
  });

  test('while the store is away every change is refused in words, and what needs no store is answered', async () => {
    const away = createBoundedStore({
      ask: () => Promise.reject(new StoreAway('connection refused to postgres://user:secret@host')),
      close: () => Promise.resolve(),
      clock: createVirtualClock(),
      timeoutMs: 1_000,
    });
    const control = createControl({ ...kit.options, store: away });
    const told = kit.applied.length;
    const answer = await askOf(control, root, 'POST', '/admin/v1/organizations', { name: 'New' });
    expect([answer.status, answer.body.error.type]).toEqual([503, 'unavailable']);
    expect(answer.text).not.toContain('secret');
    expect(kit.applied).toHaveLength(told);
    expect((await askOf(control, root, 'GET', '/metrics')).status).toBe(200);
    expect((await askOf(control, admin, 'GET', '/admin/v1/keys')).status).toBe(503);
  });

  test('when the audit entry cannot be written nothing is, and the caller hears only that there was a defect', async () => {
    const store = { ...kit.store, commit: () => Promise.reject(new Error('relation control_audit is read-only')) };
    const control = createControl({ ...kit.options, store });
    const told = [kit.applied.length, kit.defects.length];
    const answer = await askOf(control, admin, 'POST', '/admin/v1/keys', { workspace, name: 'k' });
    expect([answer.status, answer.body]).toEqual([500, { error: { type: 'internal', message: 'Internal error' } }]);
    expect([kit.applied.length, kit.defects.length]).toEqual([told[0], told[1]! + 1]);
    expect((await kit.ask(admin, 'GET', '/admin/v1/keys')).body.data).toEqual([]);
  });
});
