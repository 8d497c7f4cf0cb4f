import type { TenantObject, TenantObjectKind } from '#contracts/tenancy';

/**
 * The store cannot be reached, or does not answer in time. Nothing is known of a commit that failed so: it may have been written,
 * so read before deciding again.
 */
export class StoreAway extends Error {
  override readonly name = 'StoreAway';
}

/**
 * Where tenants, keys, actions and the audit log rest: PGlite embedded, or PostgreSQL shared by a fleet. Every implementation
 * passes `control-store/control-store.conformance.ts`.
 *
 * Every change is one commit with a number: commits are seen in the order of their numbers, without gaps, by everyone.
 * Every method rejects with {@link StoreAway} while the store cannot be reached.
 */
export interface ControlStore {
  /**
   * Writes new versions of objects and one audit entry, in one transaction: all of it, or none.
   * `conflict` when an object is not at the version that was expected: somebody was faster; read again and decide again.
   */
  commit(
    change: ControlChange,
  ): Promise<{ readonly kind: 'committed'; readonly commit: number } | { readonly kind: 'conflict'; readonly id: string }>;
  get<K extends TenantObjectKind>(kind: K, id: string): Promise<Versioned<Extract<TenantObject, { kind: K }>> | null>;
  /** By id ascending; `after` is the last id of the page before. */
  list<K extends TenantObjectKind>(query: ListQuery<K>): Promise<readonly Versioned<Extract<TenantObject, { kind: K }>>[]>;
  /**
   * Newest versions of the objects changed after `commit`, oldest change first; and the number up to which that is complete.
   * @param max - 1 to 1,000; the rest of the last commit comes on top, so that pages end where commits do
   */
  changesAfter(commit: number, kinds: readonly TenantObjectKind[], max: number): Promise<ChangePage>;
  audit(query: AuditQuery): Promise<readonly AuditEntry[]>;
  /** Recomputes the chain of hashes; answers the first broken entry, or null. */
  verifyAudit(): Promise<{ readonly entries: number; readonly brokenAt: number | null }>;
  /** Says that a gateway is alive and has applied everything up to `commit`. */
  heartbeat(gateway: { readonly id: string; readonly name: string; readonly commit: number }): Promise<void>;
  /** Forgets a gateway that ends in good order, so that nobody waits for it. */
  depart(gatewayId: string): Promise<void>;
  /** Gateways heard of in the last `withinMs`. */
  gateways(withinMs: number): Promise<readonly GatewaySeen[]>;
  /** Calls `wake` soon after somebody commits, where the store can tell; a poll finds the rest. @returns stops it */
  watch(wake: () => void): Promise<() => Promise<void>>;
  persist(): Promise<void>;
  close(): Promise<void>;
}

export interface ControlChange {
  /** At most 1,000, none of them twice. None at all is an entry in the audit log alone. */
  readonly put: readonly {
    readonly object: TenantObject;
    /** The version it replaces; 0 for one that must be new. */
    readonly expectVersion: number;
  }[];
  readonly audit: AuditDraft;
}

export interface Versioned<T> {
  readonly object: T;
  /** 1 up. */
  readonly version: number;
  /** The commit that wrote it. */
  readonly commit: number;
}

export interface ListQuery<K extends TenantObjectKind> {
  readonly kind: K;
  /** Only this organization's; null for all. */
  readonly organization: string | null;
  readonly after: string | null;
  /** 1 to 1,000. */
  readonly max: number;
}

export interface ChangePage {
  readonly objects: readonly Versioned<TenantObject>[];
  /** Changed objects that this version cannot read: what was known of them no longer holds. */
  readonly unreadable: readonly { readonly kind: TenantObjectKind; readonly id: string }[];
  /** Everything up to this commit is in this page or was before it. */
  readonly throughCommit: number;
  /** The hash of the audit entry of that commit, empty for commit 0: two stores that agree on it have the same past. */
  readonly throughHash: string;
  readonly hasMore: boolean;
}

/** Who did what to what; never content, never a secret. */
export interface AuditDraft {
  readonly atMs: number;
  /** `member:…`, `key:…`, `rule:…` or `system`. */
  readonly actor: string;
  /** `key.revoke`, `action.reverse`, … */
  readonly act: string;
  readonly organization: string | null;
  readonly subject: string;
  readonly details: { readonly [name: string]: string | number | boolean | null };
}

/** Append-only; each entry's hash covers the one before it. */
export interface AuditEntry extends AuditDraft {
  /** 1 up. One entry a commit, so the two are equal. */
  readonly sequence: number;
  readonly commit: number;
  /** SHA-256, hex, over the previous hash and this entry. */
  readonly hash: string;
}

export interface AuditQuery {
  readonly organization: string | null;
  /** Entries after this sequence number. */
  readonly after: number;
  /** 1 to 1,000. */
  readonly max: number;
}

export interface GatewaySeen {
  readonly id: string;
  readonly name: string;
  readonly commit: number;
  readonly seenMsAgo: number;
}
