import type { Ask, Decision, MeterGroup } from '#core/limits';

/**
 * Where limits are counted: in this process, or in a store that a fleet shares. Every implementation passes
 * `limits/limit-store.conformance.ts`. A method answers at once where it can, and with a promise where it must ask.
 *
 * A promise never rejects and is never late: a store that does not answer is a mode (`away`), decided by each rule.
 */
export interface LimitStore {
  /**
   * Takes the cost of every meter, and a place where the rule counts places, or nothing at all. Repeating an ask of the same id
   * while it is held takes nothing twice.
   */
  take(request: TakeRequest): LimitAnswer | Promise<LimitAnswer>;
  /**
   * Signed correction of what a request took; never refuses, may leave debt (bounded by `Rate.aheadMax`). A step at or before
   * one already applied for the same id changes nothing. `isLast` gives the places back and ends the request.
   */
  settle(settlement: Settlement): LimitAnswer | Promise<LimitAnswer>;
  /** The state of meters as they are now; takes nothing. */
  peek(groups: readonly MeterGroup[]): LimitAnswer | Promise<LimitAnswer>;
  status(): LimitStatus;
  /** Stops timers, gives back what is leased as far as the store can be reached, and closes. */
  close(): Promise<void>;
}

export interface TakeRequest extends Ask {
  /** The request's id. */
  readonly id: string;
}

export interface Settlement {
  readonly id: string;
  readonly groups: readonly MeterGroup[];
  /** 1 up, increasing within a request. */
  readonly step: number;
  /** Flat, whole units, positive to charge more; 0 for places. */
  readonly deltas: Float64Array;
  readonly isLast: boolean;
}

export interface LimitAnswer extends Decision {
  /**
   * Who decided: `exact`: the authority of these counters. `leased`: here, from shares taken in advance (as exact). `local_share`,
   * `open`: the store is away, and rules were held to this gateway's part, or not at all. `closed`: refused because of that.
   */
  readonly by: 'exact' | 'leased' | 'local_share' | 'open' | 'closed';
}

export interface LimitStatus {
  readonly kind: 'memory' | 'shared';
  /** Is the store away now, and why; null when it answers. */
  readonly awayBecause: string | null;
  readonly awaySinceMs: number | null;
  /** Gateways that share the store, this one included, as last heard. */
  readonly gateways: number;
  /** Operations sent to the store since the start; 0 for memory. */
  readonly operations: number;
  /** Seconds in each mode since the start. */
  readonly secondsIn: { readonly exact: number; readonly away: number };
  /** By rule id: what a rule in dry run would have refused. */
  readonly wouldHaveRefused: ReadonlyMap<string, number>;
  /** Settlements that could not be delivered and were dropped at the bound. */
  readonly settlementsDropped: number;
  /** How often the store was found to have lost its memory; 0 for memory. */
  readonly storeForgot: number;
}
