import type { ControlCall, StorePlace, UsageQuery, UsageRow } from '#storage';

/** What a flow thread is started with. */
export interface FlowThreadData {
  /** The journal's directory, id, and the shared count of records that are on the disk. */
  readonly directory: string;
  readonly journal: string;
  readonly synced: SharedArrayBuffer;
  readonly place: StorePlace;
  readonly intervalMs: number;
  readonly batchMax: number;
  /** Whole records older than this are forgotten; totals stay. */
  readonly retentionMs: number;
}

export type ToFlowThread =
  | { readonly kind: 'usage'; readonly id: number; readonly query: UsageQuery }
  /** Apply everything up to `upTo` at once, and make it durable. */
  | { readonly kind: 'drain'; readonly id: number; readonly upTo: number }
  /** A call of the control store, which the embedded engine of this thread holds too. */
  | { readonly kind: 'control'; readonly id: number; readonly call: ControlCall }
  | { readonly kind: 'close' };

export type FromFlowThread =
  | { readonly kind: 'progress'; readonly progress: FlowProgress }
  /** The journal may forget what is before `position`; the segments named by first sequence are damaged. */
  | { readonly kind: 'applied'; readonly position: number; readonly damaged: readonly number[] }
  | { readonly kind: 'lost'; readonly from: number; readonly to: number }
  | { readonly kind: 'answer'; readonly id: number; readonly rows: readonly UsageRow[] }
  | { readonly kind: 'no_answer'; readonly id: number; readonly because: string }
  | { readonly kind: 'drained'; readonly id: number }
  | { readonly kind: 'control_answer'; readonly id: number; readonly answer: unknown }
  /** `isAway`: the store cannot say; otherwise the call itself was wrong. */
  | { readonly kind: 'control_failed'; readonly id: number; readonly because: string; readonly isAway: boolean }
  | { readonly kind: 'unreadable'; readonly object: string; readonly because: string };

export interface FlowProgress {
  readonly kind: 'ready' | 'away' | 'blocked';
  /** Why, in words an operator can act on; empty when ready. */
  readonly because: string;
  readonly position: number;
  /** Wall time up to which everything that was on the disk is applied, ms since 1970. */
  readonly appliedThroughMs: number;
  readonly recordsApplied: number;
}
