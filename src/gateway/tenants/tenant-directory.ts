import { createSecretKey } from 'node:crypto';
import {
  GOOD_STANDING,
  isInForce,
  compileScopes,
  readKey,
  standingOf,
  usabilityOf,
  type KeyScopes,
  type Standing,
} from '#core/tenancy';
import type { Action, EndUser, Key, Organization, Subject, TenantObject, TenantObjectKind, Workspace } from '#contracts/tenancy';
import { digestKey } from '#storage';
import { createTenantTable } from './tenant-table.ts';

/** Who calls: a key in good order with everything above it. Immutable, and another object as soon as anything of it changes. */
export interface Caller {
  /** The key's. */
  readonly id: string;
  readonly organization: string;
  /** Null for operating keys of a whole organization; never for keys that call models. */
  readonly workspace: string | null;
  /** `api` keys call models; `admin` keys operate. Neither does the other's work. */
  readonly role: 'api' | 'admin';
  readonly key: Key;
  readonly tenant: { readonly organization: Organization; readonly workspace: Workspace | null };
  readonly scopes: KeyScopes;
  /** What the actions on the key, its workspace and its organization come to. */
  readonly standing: Standing;
}

export interface TenantRef {
  readonly kind: TenantObjectKind;
  readonly id: string;
}

/** Every tenant that this gateway knows, in memory. Nothing here waits, reads a file or asks a store. */
export interface TenantDirectory {
  /**
   * The caller of a presented key, or null for a key that is none of ours, was revoked, has expired, or whose organization or
   * workspace is closed: whoever presents one is told the same. A suspended caller is found; its standing says so.
   */
  find(presented: string): Caller | null;
  /** The same by a key's id, for whoever explains a key; nobody who presents one gets here. */
  callerOf(keyId: string): Caller | null;
  /** The id of the key with a hash, of any organization; null for one that is not known or was revoked. */
  keyIdOf(hash: Key['hash']): string | null;
  /** Takes newest versions of objects in, and drops those that do not hold any more. Kinds that are not served are passed over. */
  apply(put: readonly TenantObject[], drop?: readonly TenantRef[]): void;
  /** Drops every object that is not named, as `kind id`: what is left is what a whole read of the store has shown. */
  keepOnly(named: ReadonlySet<string>): void;
  organization(id: string): Organization | null;
  workspace(id: string): Workspace | null;
  key(id: string): Key | null;
  /** What was said of an end user; null where nothing was. */
  endUser(organization: string, id: string): EndUser | null;
  /** Actions in force on a subject itself, not on what stands above it. */
  actionsFor(subject: Subject): readonly Action[];
  /** Everything, a piece at a time, for a snapshot. */
  objects(): Generator<TenantObject>;
  counts(): DirectoryCounts;
}

export interface DirectoryCounts {
  readonly organizations: number;
  readonly workspaces: number;
  readonly keys: number;
  readonly endUsers: number;
  readonly actions: number;
  /** Presented keys whose caller is remembered, and those that are remembered to be nobody's. */
  readonly remembered: number;
  readonly unknown: number;
  /** Memory of the tables, without what is remembered. */
  readonly bytes: number;
}

export interface DirectoryOptions {
  readonly pepper: Buffer;
  /** Wall ms: expiries are told to other machines and people. */
  readonly wallMs: () => number;
}

/** Longer than any key of ours or of others: what is longer is not looked up. */
const PRESENTED_CHARACTERS_MAX = 512;
const REMEMBERED_MAX = 50_000;
const UNKNOWN_MAX = 10_000;
/** Actions that have expired are dropped each time that so many more are held. */
const SWEEP_EVERY = 1_024;

/** What callers of one organization share; it is replaced, and they with it, when the organization or anything in between changes. */
interface Owner {
  isCurrent: boolean;
  readonly organization: Organization;
  readonly workspaces: Map<string, Workspace | null>;
}

interface Remembered {
  readonly caller: Caller;
  readonly owner: Owner;
  /** Wall ms at which something expires. */
  readonly untilMs: number;
  isCurrent: boolean;
}

export function createTenantDirectory({ pepper, wallMs }: DirectoryOptions): TenantDirectory {
  const secret = createSecretKey(pepper);
  const table = createTenantTable();
  const actions = new Map<string, Action>();
  const actionsBySubject = new Map<string, readonly Action[]>();
  // By the key as presented. A string of the engine is hashed under a random seed and compared only when the hashes are equal,
  // so the time this takes tells a guesser nothing about how much of a guess was right.
  const remembered = new Map<string, Remembered>();
  const rememberedById = new Map<string, Remembered>();
  const owners = new Map<string, Owner>();
  const unknown = new Set<string>();

  return {
    find(presented) {
      // Before the checksum, which costs more: what is remembered has passed it.
      const known = remembered.get(presented);
      if (known !== undefined && known.isCurrent && known.owner.isCurrent && wallMs() < known.untilMs) return known.caller;
      const key = findKey(presented);
      return key === null ? null : remember(presented, key);
    },
    callerOf(keyId) {
      const key = table.get('key', keyId);
      return key === null ? null : (rememberedById.get(keyId)?.caller ?? describe(key)?.caller ?? null);
    },
    keyIdOf: ({ kind, hex }) => table.findKey(Buffer.from(hex, 'hex'), kind)?.id ?? null,
    apply(put, drop = []) {
      for (const { kind, id } of drop) remove(kind, id);
      for (const object of put) take(object);
    },
    keepOnly(named) {
      const others: TenantRef[] = [];
      for (const { kind, id } of objects()) if (!named.has(`${kind} ${id}`)) others.push({ kind, id });
      for (const { kind, id } of others) remove(kind, id);
    },
    organization: (id) => table.get('organization', id),
    workspace: (id) => table.get('workspace', id),
    key: (id) => table.get('key', id),
    endUser(organization, id) {
      const user = table.get('end_user', id);
      return user?.organization === organization ? user : null;
    },
    actionsFor(subject) {
      const now = wallMs();
      return on(subject).filter((action) => isInForce(action, now));
    },
    objects,
    counts: () => ({
      organizations: table.count('organization'),
      workspaces: table.count('workspace'),
      keys: table.count('key'),
      endUsers: table.count('end_user'),
      actions: actions.size,
      remembered: remembered.size,
      unknown: unknown.size,
      bytes: table.bytes(),
    }),
  };

  function* objects(): Generator<TenantObject> {
    yield* table.objects();
    yield* actions.values();
  }

  function findKey(presented: string): Key | null {
    if (presented.length > PRESENTED_CHARACTERS_MAX || unknown.has(presented)) return null;
    const reading = readKey(presented);
    if (reading.kind === 'mistyped' || (reading.kind === 'foreign' && table.legacyKeys() === 0)) return null;
    // A key of another gateway may look like anything, even like ours; it is looked for where there are such keys at all.
    const key = reading.kind === 'ours' ? table.findKey(digestKey(presented, 'hmac_sha256', secret), 'hmac_sha256') : null;
    const found = key ?? (table.legacyKeys() > 0 ? table.findKey(digestKey(presented, 'sha256', secret), 'sha256') : null);
    if (found === null) {
      if (unknown.size >= UNKNOWN_MAX) unknown.clear();
      unknown.add(presented);
    }
    return found;
  }

  function remember(presented: string, key: Key): Caller | null {
    if (remembered.size >= REMEMBERED_MAX || owners.size >= REMEMBERED_MAX) forgetAll();
    const entry = describe(key);
    if (entry === null) return null;
    remembered.set(presented, entry);
    rememberedById.set(key.id, entry);
    return entry.caller;
  }

  function describe(key: Key): Remembered | null {
    const owner = ownerOf(key.organization);
    if (owner === null) return null;
    const now = wallMs();
    const workspace = key.workspace === null ? null : workspaceOf(owner, key.workspace);
    const usability = usabilityOf(key, { organization: owner.organization, workspace }, now);
    if (usability.kind !== 'usable') return null;
    const standing = standingOfKey(key, now);
    return {
      caller: {
        id: key.id,
        organization: key.organization,
        workspace: key.workspace,
        role: key.use,
        key,
        tenant: { organization: owner.organization, workspace },
        scopes: compileScopes(key.scopes),
        standing,
      },
      owner,
      untilMs: Math.min(usability.untilMs, standing.untilMs),
      isCurrent: true,
    };
  }

  function standingOfKey({ id, workspace, organization }: Key, now: number): Standing {
    if (actions.size === 0) return GOOD_STANDING;
    const above = workspace === null ? [] : on({ kind: 'workspace', id: workspace });
    return standingOf([...on({ kind: 'organization', id: organization }), ...above, ...on({ kind: 'key', id })], now);
  }

  function ownerOf(id: string): Owner | null {
    const known = owners.get(id);
    if (known !== undefined) return known;
    const organization = table.get('organization', id);
    if (organization === null) return null;
    const owner: Owner = { isCurrent: true, organization, workspaces: new Map<string, Workspace | null>() };
    owners.set(id, owner);
    return owner;
  }

  function workspaceOf({ workspaces }: Owner, id: string): Workspace | null {
    let workspace = workspaces.get(id);
    if (workspace === undefined) workspaces.set(id, (workspace = table.get('workspace', id)));
    return workspace;
  }

  function take(object: TenantObject): void {
    switch (object.kind) {
      case 'organization':
        forgetOwner(object.id);
        table.put(object);
        return;
      case 'workspace':
        remove('workspace', object.id);
        forgetOwner(object.organization);
        table.put(object);
        return;
      case 'key':
        forgetKey(object.id);
        // A revoked key is a key that does not exist.
        if (object.revokedAtMs === null) table.put(object);
        else table.remove('key', object.id);
        return;
      case 'end_user':
        table.put(object);
        return;
      case 'action':
        dropAction(object.id);
        if (isInForce(object, wallMs())) addAction(object);
        if (actions.size % SWEEP_EVERY === 0) sweepActions();
        return;
      default:
      // Members, cases and appeals stay in the control plane.
    }
  }

  function remove(kind: TenantObjectKind, id: string): void {
    switch (kind) {
      case 'organization':
        forgetOwner(id);
        table.remove(kind, id);
        return;
      case 'workspace': {
        const owner = table.get(kind, id)?.organization;
        if (owner !== undefined) forgetOwner(owner);
        table.remove(kind, id);
        return;
      }
      case 'key':
        forgetKey(id);
        table.remove(kind, id);
        return;
      case 'end_user':
        table.remove(kind, id);
        return;
      case 'action':
        dropAction(id);
        return;
      default:
    }
  }

  function addAction(action: Action): void {
    actions.set(action.id, action);
    actionsBySubject.set(nameOf(action.subject), [...on(action.subject), action]);
    forgetSubject(action.subject);
  }

  function dropAction(id: string): void {
    const action = actions.get(id);
    if (action === undefined) return;
    actions.delete(id);
    const left = on(action.subject).filter((other) => other.id !== id);
    if (left.length === 0) actionsBySubject.delete(nameOf(action.subject));
    else actionsBySubject.set(nameOf(action.subject), left);
    forgetSubject(action.subject);
  }

  function sweepActions(): void {
    const now = wallMs();
    for (const action of actions.values()) if (!isInForce(action, now)) dropAction(action.id);
  }

  function on(subject: Subject): readonly Action[] {
    return actionsBySubject.get(nameOf(subject)) ?? [];
  }

  function forgetSubject({ kind, id }: Subject): void {
    if (kind === 'key') forgetKey(id);
    else if (kind === 'organization') forgetOwner(id);
    else if (kind === 'workspace') {
      const owner = table.get('workspace', id)?.organization;
      if (owner !== undefined) forgetOwner(owner);
    }
  }

  function forgetOwner(id: string): void {
    const owner = owners.get(id);
    if (owner !== undefined) owner.isCurrent = false;
    owners.delete(id);
  }

  /** What is remembered has a bound; what was in use a moment ago is found again at the cost of one digest. */
  function forgetAll(): void {
    remembered.clear();
    rememberedById.clear();
    owners.clear();
  }

  function forgetKey(id: string): void {
    const entry = rememberedById.get(id);
    if (entry !== undefined) entry.isCurrent = false;
    rememberedById.delete(id);
    // It may have been presented before it was there.
    unknown.clear();
  }
}

function nameOf({ kind, id }: Subject): string {
  return `${kind} ${id}`;
}
