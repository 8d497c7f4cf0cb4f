import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { Key, Organization, TenantObject, Workspace } from '#contracts/tenancy';
import { newKey, hashKey, type ControlStore } from '#storage';
import { pepperCheck, PepperProblem } from './pepper.ts';
import { syncDirectory, writeDraft } from './write-privately.ts';

export interface FirstTenantsOptions {
  readonly store: Pick<ControlStore, 'list' | 'get' | 'commit' | 'audit'>;
  readonly dataDirectory: string;
  readonly pepper: Buffer;
  readonly wallMs: () => number;
}

export interface FirstTenants {
  /** Where the first keys are, if they were made here and not deleted since. */
  readonly firstKeysPath: string;
  /** Whether they were made just now, by this process. */
  readonly isNew: boolean;
  /** Keys of version 0.1 that were taken over just now. */
  readonly imported: number;
}

const ACT = 'installation.begin';
const ORGANIZATION = 'org_first';
const WORKSPACE = 'ws_first';

/** The keyring of version 0.1: digests under the pepper of the same directory. */
const oldKeysSchema = z.strictObject({
  version: z.literal(1),
  keys: z.array(
    z.strictObject({
      id: z.string(),
      organization: z.string(),
      workspace: z.string(),
      role: z.enum(['api', 'admin']),
      digest: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  ),
});
type OldKey = z.infer<typeof oldKeysSchema>['keys'][number];

/**
 * Makes the first organization, workspace, API key and admin key of an empty control store, or takes those of version 0.1 over.
 * Of several that begin at once one succeeds, and only its `first-keys.json` is written. In a store that is not empty it checks
 * that keys are hashed under this pepper, and throws {@link PepperProblem} when they are not.
 */
export async function ensureFirstTenants(options: FirstTenantsOptions): Promise<FirstTenants> {
  const { store, dataDirectory, pepper } = options;
  const firstKeysPath = firstKeysPathOf(dataDirectory);
  const draft = `${firstKeysPath}.new`;
  const [some] = await store.list({ kind: 'organization', organization: null, after: null, max: 1 });
  if (some !== undefined) {
    await checkPepper(store, pepper);
    await finishDraft({ store, pepper, draft, firstKeysPath });
    return { firstKeysPath, isNew: false, imported: 0 };
  }
  const old = readOldKeys(dataDirectory, pepper);
  const first = old === null ? makeFirst(options) : takeOver(old, options.wallMs());
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 });
  // Before the commit: afterwards a crash would leave keys that nobody has.
  if (first.text !== null) await writeDraft(draft, first.text);
  const answer = await store.commit({
    put: first.objects.map((object) => ({ object, expectVersion: 0 })),
    audit: {
      atMs: options.wallMs(),
      actor: 'system',
      act: ACT,
      organization: null,
      subject: 'installation',
      details: { pepper: pepperCheck(pepper), imported: old?.length ?? 0 },
    },
  });
  if (answer.kind === 'conflict') {
    await rm(draft, { force: true });
    await checkPepper(store, pepper);
    return { firstKeysPath, isNew: false, imported: 0 };
  }
  if (first.text !== null) await moveInPlace(draft, firstKeysPath);
  return { firstKeysPath, isNew: old === null, imported: old?.length ?? 0 };
}

export function firstKeysPathOf(dataDirectory: string): string {
  return path.join(dataDirectory, 'first-keys.json');
}

async function checkPepper(store: FirstTenantsOptions['store'], pepper: Buffer): Promise<void> {
  const [entry] = await store.audit({ organization: null, after: 0, max: 1 });
  const expected = entry?.act === ACT ? entry.details.pepper : undefined;
  if (typeof expected === 'string' && expected !== pepperCheck(pepper))
    throw new PepperProblem(
      'the keys in the control store were hashed under another pepper: give this gateway the same keys.pepper as the others, or none of their keys will be recognised here',
    );
}

/** A draft that is left says that a process ended between its commit and its file: whether it was the one is told by its keys. */
async function finishDraft({
  store,
  pepper,
  draft,
  firstKeysPath,
}: Pick<FirstTenantsOptions, 'store' | 'pepper'> & { readonly draft: string; readonly firstKeysPath: string }): Promise<void> {
  if (!existsSync(draft)) return;
  const stored = await store.get('key', `key_first_api`);
  const isOurs = stored?.object.hash.hex === presentedIn(draft, pepper);
  if (isOurs && !existsSync(firstKeysPath)) await moveInPlace(draft, firstKeysPath);
  else await rm(draft, { force: true });
}

/** The digest of the API key in a draft; null for a draft that was not finished. */
function presentedIn(draft: string, pepper: Buffer): string | null {
  try {
    const { api_key } = z.object({ api_key: z.string() }).parse(JSON.parse(readFileSync(draft, 'utf8')));
    return hashKey(api_key, pepper).hex;
  } catch {
    return null;
  }
}

async function moveInPlace(draft: string, file: string): Promise<void> {
  await rename(draft, file);
  await syncDirectory(file);
}

/** The keys of version 0.1 of this data directory; null where there are none. */
function readOldKeys(dataDirectory: string, pepper: Buffer): readonly OldKey[] | null {
  const file = path.join(dataDirectory, 'keys.json');
  if (!existsSync(file)) return null;
  const { keys } = oldKeysSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  const oldPepper = path.join(dataDirectory, 'pepper');
  const isSame = existsSync(oldPepper) && sha256(readFileSync(oldPepper)) === sha256(pepper);
  if (!isSame)
    throw new PepperProblem(
      `${file} was hashed under ${oldPepper}, and keys.pepper is another: use keys.pepper: file:${oldPepper}, or move ${file} away to begin with new keys`,
    );
  return keys;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

interface First {
  readonly objects: readonly TenantObject[];
  /** What goes into `first-keys.json`. */
  readonly text: string | null;
}

function makeFirst({ pepper, wallMs }: FirstTenantsOptions): First {
  const atMs = wallMs();
  const api = newKey('api', pepper);
  const admin = newKey('admin', pepper);
  const key = (use: 'api' | 'admin', { hash, hint }: Pick<Key, 'hash' | 'hint'>): Key =>
    keyOf({ id: `key_first_${use}`, organization: ORGANIZATION, workspace: WORKSPACE, role: use, hash, hint }, atMs);
  return {
    objects: [
      organizationOf(ORGANIZATION, atMs),
      workspaceOf(WORKSPACE, ORGANIZATION, atMs),
      key('api', api),
      key('admin', admin),
    ],
    text: `${JSON.stringify({ api_key: api.presented, admin_key: admin.presented }, null, 2)}\n`,
  };
}

/** The same ids and digests: nobody has to change a key. Their `first-keys.json` stays what it is. */
function takeOver(keys: readonly OldKey[], atMs: number): First {
  const organizations = new Map(keys.map(({ organization }) => [organization, organizationOf(organization, atMs)]));
  const workspaces = new Map(keys.map((key) => [key.workspace, workspaceOf(key.workspace, key.organization, atMs)]));
  const taken = keys.map(({ digest, ...key }) => keyOf({ ...key, hash: { kind: 'hmac_sha256', hex: digest }, hint: '' }, atMs));
  return { objects: [...organizations.values(), ...workspaces.values(), ...taken], text: null };
}

function organizationOf(id: string, createdAtMs: number): Organization {
  return {
    kind: 'organization',
    id,
    organization: id,
    name: id === ORGANIZATION ? 'First organization' : id,
    tier: null,
    limits: {},
    whenCutOff: { kind: 'serve' },
    appealUrl: null,
    createdAtMs,
    closedAtMs: null,
  };
}

function workspaceOf(id: string, organization: string, createdAtMs: number): Workspace {
  const name = id === WORKSPACE ? 'First workspace' : id;
  return { kind: 'workspace', id, organization, name, limits: {}, createdAtMs, closedAtMs: null };
}

function keyOf(
  key: Pick<Key, 'id' | 'organization' | 'hash' | 'hint'> & { readonly workspace: string; readonly role: 'api' | 'admin' },
  createdAtMs: number,
): Key {
  const isAdmin = key.role === 'admin';
  return {
    kind: 'key',
    id: key.id,
    organization: key.organization,
    workspace: key.workspace,
    name: isAdmin ? 'First admin key' : 'First API key',
    use: key.role,
    role: isAdmin ? 'admin' : null,
    reach: isAdmin ? 'installation' : null,
    member: null,
    hash: key.hash,
    hint: key.hint,
    scopes: {},
    limits: {},
    createdAtMs,
    createdBy: 'system',
    expiresAtMs: null,
    revokedAtMs: null,
    replacedBy: null,
  };
}
