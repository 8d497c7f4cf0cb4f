import type { MeterGroup } from '#core/limits';

/**
 * The counters that a fleet shares, one operation at a time: what a store must do so that `createFleetLimits` can build on it.
 * No promise rejects; none has a deadline either: the fleet keeps its own.
 */
export interface SharedLimits {
  /** One atomic step over all meters of the groups, which belong to one organization. */
  send(operation: SharedOperation): Promise<SharedReply>;
  /** Says that `gateway` lives, for `lifeMs`. */
  beat(gateway: string, lifeMs: number): Promise<BeatReply>;
  /** Drops the connection and makes a new one; what was under way fails. */
  reconnect(): void;
  /** Operations sent since the start, those of the start included. */
  readonly operations: number;
  /** Where it is, without credentials, for messages. */
  readonly place: string;
  close(): Promise<void>;
}

export interface SharedOperation {
  /**
   * `take`: the cost of every meter, or nothing; then shares in advance, as far as they are wished for and conform.
   * `settle`: signed, without asking, once for each step of an id. `hold`: sets how many places this gateway holds, and renews
   * them. `peek`: reads.
   */
  readonly what: 'take' | 'settle' | 'hold' | 'peek';
  readonly groups: readonly MeterGroup[];
  /** Flat, whole units: costs, deltas, or places held. */
  readonly units: Float64Array;
  /** `take`: flat, units to hand out in advance if that is possible; null for none. */
  readonly wishes: Float64Array | null;
  readonly gateway: string;
  /** How many gateways a share must leave room for, 1 up. */
  readonly gateways: number;
  /** For how long after it was handed out a share may be spent; a place is held so long without renewal. */
  readonly leaseMs: number;
  readonly placesLeaseMs: number;
  /** `settle`: names what is applied once. */
  readonly id: string;
  readonly step: number;
  /** `settle`: units given back were charged at most so long ago; those of a day or month that is over are not given back. */
  readonly ageUs: number;
}

export type SharedReply =
  | {
      readonly kind: 'done';
      /** As in `Decision`. */
      readonly refusedBy: number;
      readonly waitUs: number;
      readonly ahead: Float64Array;
      /** Flat: units handed out beyond the cost; −1 where a rule in dry run would have refused, and was not charged. */
      readonly granted: Float64Array;
    }
  | { readonly kind: 'failed'; readonly because: string };

export type BeatReply =
  | {
      readonly kind: 'heard';
      /** Living gateways, this one included. */
      readonly gateways: number;
      /** Had the store heard of this gateway before? If not though it should have, it has lost its memory. */
      readonly isKnown: boolean;
    }
  | { readonly kind: 'failed'; readonly because: string };
