import type { TenantObject, TenantObjectKind } from '#contracts/tenancy';
import type { AuditEntry, ControlStore, Versioned } from '#storage';
import type { Principal } from './principal.ts';

export type Kind<K extends TenantObjectKind> = Extract<TenantObject, { kind: K }>;

/**
 * The control store as one principal may see it. This is the one place of object-level checks: handlers have no other way to an
 * object, and what is another organization's is not there. Rejects with `StoreAway` when the store does.
 */
export interface Tenants {
  get<K extends TenantObjectKind>(kind: K, id: string): Promise<Versioned<Kind<K>> | null>;
  /** One page of the objects that `keeps` keeps, in order of id. `nextAfter` is null when there are no more. */
  list<K extends TenantObjectKind>(query: PageQuery<K>): Promise<Page<Kind<K>>>;
  /** Every object of an organization that `keeps` keeps. */
  all<K extends TenantObjectKind>(
    kind: K,
    organization: string,
    keeps: (object: Kind<K>) => boolean,
  ): Promise<readonly Versioned<Kind<K>>[]>;
  /** One transaction with its audit entry; null when somebody was faster. @returns its number and what was written */
  commit(change: Change): Promise<Committed | null>;
  audit(query: {
    readonly organization: string | null;
    readonly after: number;
    readonly max: number;
  }): Promise<readonly AuditEntry[]>;
}

export interface PageQuery<K extends TenantObjectKind> {
  readonly kind: K;
  /** Null: every organization that the principal reaches. */
  readonly organization: string | null;
  readonly after: string | null;
  readonly limit: number;
  readonly keeps?: (object: Kind<K>) => boolean;
}

export interface Page<T> {
  readonly items: readonly Versioned<T>[];
  readonly nextAfter: string | null;
}

export interface Change {
  readonly act: string;
  readonly organization: string | null;
  readonly subject: string;
  readonly details?: { readonly [name: string]: string | number | boolean | null };
  /** Each with the version that it replaces, 0 for a new one. */
  readonly put: readonly { readonly object: TenantObject; readonly expectVersion: number }[];
}

export interface Committed {
  readonly commit: number;
  readonly objects: readonly Versioned<TenantObject>[];
}

export interface TenantsOptions {
  readonly store: ControlStore;
  readonly principal: Principal;
  readonly wallMs: () => number;
  /** Hears of what was committed before the answer is given, so that this gateway applies it at once. */
  readonly onCommitted: (objects: readonly Versioned<TenantObject>[]) => void;
}

const PAGE_MAX = 1_000;
/** Pages read for one answer: a filter that matches little answers with what it has found so far. */
const PAGES_MAX = 20;

/** Restricts the store to what `principal` reaches. */
export function createTenants({ store, principal, wallMs, onCommitted }: TenantsOptions): Tenants {
  const reaches = (object: TenantObject): boolean => {
    if (principal.reach === 'installation') return true;
    // Whoever could rotate a key of the whole installation would have the whole installation.
    const isAbove = (object.kind === 'key' || object.kind === 'member') && object.reach === 'installation';
    return object.organization === principal.organization && !isAbove;
  };
  /** The organization to ask the store for, or undefined when there is none that the principal reaches. */
  const scopeOf = (organization: string | null): string | null | undefined => {
    if (principal.reach === 'installation') return organization;
    return organization === null || organization === principal.organization ? principal.organization : undefined;
  };

  return {
    async get(kind, id) {
      const found = await store.get(kind, id);
      return found !== null && reaches(found.object) ? found : null;
    },
    async list({ kind, organization, after, limit, keeps }) {
      const scope = scopeOf(organization);
      const items: Versioned<Kind<typeof kind>>[] = [];
      if (scope === undefined) return { items, nextAfter: null };
      let last = after;
      for (let pages = 0; pages < PAGES_MAX; pages++) {
        const max = keeps === undefined ? limit + 1 : PAGE_MAX;
        const page = await store.list({ kind, organization: scope, after: last, max });
        for (const item of page) {
          if (items.length === limit) return { items, nextAfter: last };
          last = item.object.id;
          if (reaches(item.object) && (keeps?.(item.object) ?? true)) items.push(item);
        }
        if (page.length < max) return { items, nextAfter: null };
      }
      return { items, nextAfter: last };
    },
    async all(kind, organization, keeps) {
      const scope = scopeOf(organization);
      const items: Versioned<Kind<typeof kind>>[] = [];
      if (scope === undefined) return items;
      for (let after: string | null = null; ;) {
        const last: string | null = after;
        const page: readonly Versioned<Kind<typeof kind>>[] = await store.list({
          kind,
          organization: scope,
          after: last,
          max: PAGE_MAX,
        });
        items.push(...page.filter(({ object }) => reaches(object) && keeps(object)));
        after = page.at(-1)?.object.id ?? null;
        if (page.length < PAGE_MAX) return items;
      }
    },
    async commit({ act, organization, subject, details = {}, put }) {
      const isForeign = put.some(({ object }) => !reaches(object)) || scopeOf(organization) === undefined;
      if (isForeign) throw new Error(`${act} would write outside the reach of ${principal.actor}`);
      const audit = { atMs: wallMs(), actor: principal.actor, act, organization, subject, details };
      const done = await store.commit({ put, audit });
      if (done.kind === 'conflict') return null;
      const objects = put.map(({ object, expectVersion }) => ({ object, version: expectVersion + 1, commit: done.commit }));
      onCommitted(objects);
      return { commit: done.commit, objects };
    },
    async audit({ organization, after, max }) {
      const scope = scopeOf(organization);
      return scope === undefined ? [] : store.audit({ organization: scope, after, max });
    },
  };
}
