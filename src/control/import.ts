import { z } from 'zod';
import type { Key, Organization, TenantObject, Workspace } from '#contracts/tenancy';
import { conflict, json, notFound, type Answer } from './answer.ts';
import { checkLimits, limits, name, wallMs } from './fields.ts';
import { route, type Call, type Route } from './route.ts';
import type { Committed } from './tenants.ts';

const importedId = z.string().regex(/^(org|ws)_[A-Za-z0-9_-]{1,60}$/);
const imported = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('organization'), id: importedId, name, limits }),
  z.strictObject({
    kind: z.literal('workspace'),
    id: importedId,
    organization: importedId,
    name,
    limits,
    is_closed: z.boolean(),
  }),
  z.strictObject({
    kind: z.literal('key'),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    organization: importedId,
    workspace: importedId,
    name,
    hint: z.string().max(6),
    models: z.array(z.string().min(1).max(128)).max(1_000).nullable(),
    limits,
    expires_at_ms: wallMs.nullable(),
    is_revoked: z.boolean(),
  }),
]);
type Sent = z.infer<typeof imported>;
type Imported = Organization | Workspace | Key;

/**
 * Takes in tenants of another gateway, with the SHA-256 hashes that it kept of its keys. What is here already stays as it is:
 * sending the same again changes nothing, and nothing that was changed here since is undone.
 */
export const importRoutes: readonly Route[] = [
  route({
    method: 'POST',
    path: '/admin/v1/import',
    permission: 'organizations.write',
    reach: 'installation',
    /** Parents before their children, or in an earlier request. */
    body: z.strictObject({ source: z.string().regex(/^[a-z]{1,32}$/), objects: z.array(imported).min(1).max(100) }),
    async handle(call, { body }): Promise<Answer> {
      const made = new Map<string, Imported>();
      const results: object[] = [];
      for (const one of body.objects) {
        const object = build(call, one, body.source);
        const wrong = await whyNot(call, object, made);
        if (wrong !== null) return wrong;
        const there = made.get(object.id) ?? (await call.tenants.get(object.kind, object.id))?.object;
        if (there === undefined) made.set(object.id, object);
        const outcome = there === undefined ? 'created' : isSame(there, object) ? 'unchanged' : 'differs';
        results.push({ kind: object.kind, id: object.id, outcome });
      }
      const done = await commit(call, body.source, [...made.values()]);
      return done === null ? conflict('One of the objects') : json({ results });
    },
  }),
];

async function commit(call: Call, source: string, made: readonly TenantObject[]): Promise<Committed | null> {
  if (made.length === 0) return { commit: 0, objects: [] };
  return call.tenants.commit({
    act: 'tenants.import',
    organization: null,
    subject: source,
    details: { created: made.length },
    put: made.map((object) => ({
      object,
      expectVersion: 0,
    })),
  });
}

function build(call: Call, one: Sent, source: string): Imported {
  const now = call.tools.clock.wallMs();
  switch (one.kind) {
    case 'organization':
      return {
        kind: 'organization',
        id: one.id,
        organization: one.id,
        name: one.name,
        tier: null,
        limits: one.limits,
        whenCutOff: { kind: 'serve' },
        appealUrl: null,
        createdAtMs: now,
        closedAtMs: null,
      };
    case 'workspace':
      return {
        kind: 'workspace',
        id: one.id,
        organization: one.organization,
        name: one.name,
        limits: one.limits,
        createdAtMs: now,
        closedAtMs: one.is_closed ? now : null,
      };
    case 'key':
      return {
        kind: 'key',
        id: `key_${call.tools.hashKey(`${source} ${one.sha256}`).hex.slice(0, 24)}`,
        organization: one.organization,
        workspace: one.workspace,
        name: one.name,
        use: 'api',
        role: null,
        reach: null,
        member: null,
        hash: {
          kind: 'sha256',
          hex: one.sha256,
        },
        hint: one.hint,
        limits: one.limits,
        scopes: one.models === null ? {} : { models: one.models },
        createdAtMs: now,
        createdBy: call.principal.actor,
        expiresAtMs: one.expires_at_ms,
        revokedAtMs: one.is_revoked ? now : null,
        replacedBy: null,
      };
  }
}

/** An object needs parents that are here, or made before it, and rules that exist. */
async function whyNot(call: Call, object: Imported, made: ReadonlyMap<string, Imported>): Promise<Answer | null> {
  const find = async (kind: 'organization' | 'workspace', id: string): Promise<TenantObject | null> =>
    made.get(id) ?? (await call.tenants.get(kind, id))?.object ?? null;
  const owner = object.kind === 'organization' ? object : await find('organization', object.organization);
  if (owner?.kind !== 'organization') return notFound('organization', object.organization);
  if (object.kind === 'key') {
    const workspace = await find('workspace', object.workspace ?? '');
    if (workspace?.organization !== owner.id) return notFound('workspace', object.workspace ?? '');
  }
  return checkLimits(call, object.limits, owner);
}

/** Whether what is here is what would be made now; when it was made, and by whom, does not matter. */
function isSame(there: TenantObject, object: TenantObject): boolean {
  const timeless = (value: TenantObject): string =>
    JSON.stringify(value, (key, field: unknown) => {
      if (key === 'createdAtMs' || key === 'createdBy') return null;
      if (key === 'closedAtMs' || key === 'revokedAtMs') return field !== null;
      return field instanceof Object && !Array.isArray(field)
        ? Object.fromEntries(Object.entries(field).toSorted(([one], [other]) => (one < other ? -1 : 1)))
        : field;
    });
  return timeless(there) === timeless(object);
}
