import type { WireDialect } from '../mock/script.ts';

/** Where a request goes and what it carries. */
export interface Target {
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly dialect: WireDialect;
  readonly model: string;
  readonly bodyBytes: number;
  readonly isStream: boolean;
  /** Whom the client says it acts for. */
  readonly endUser?: string;
}

/** What the load generator is asked to do. */
export type Order =
  /** One request, its answer read whole: to see that a system works before it is measured. */
  | { readonly kind: 'probe'; readonly target: Target }
  | {
      readonly kind: 'closed-loop';
      readonly target: Target;
      readonly connections: number;
      readonly warmUpMs: number;
      readonly durationMs: number;
    }
  | {
      readonly kind: 'streams';
      readonly target: Target;
      readonly eventsPerStream: number;
      readonly connections: number;
      /** Connections start evenly over so long, so that a thousand are not one thundering herd. */
      readonly rampMs: number;
      readonly warmUpMs: number;
      /** New streams begin for so long; zero: one stream a connection. */
      readonly durationMs: number;
    }
  | {
      readonly kind: 'cancel';
      readonly target: Target;
      readonly firstTag: number;
      readonly clients: number;
      readonly concurrency: number;
      /** The connection is dropped after so many events; zero: after `waitMs`, before the first byte. */
      readonly afterEvents: number;
      readonly waitMs: number;
    };

/** A distribution, in microseconds. */
export interface Distribution {
  readonly count: number;
  readonly minUs: number;
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
  readonly meanUs: number;
}

/** Ways in which a request can fail; every one is counted, none is left out of the result. */
export interface FailureCounts {
  readonly badStatus: number;
  readonly cutShort: number;
  readonly socket: number;
  /** Not answered ten seconds after the end of the run. */
  readonly stuck: number;
}

export interface ProbeOutcome {
  readonly kind: 'probe';
  readonly status: number;
  readonly body: string;
}

export interface ClosedLoopOutcome {
  readonly kind: 'closed-loop';
  readonly requests: number;
  readonly elapsedMs: number;
  readonly latency: Distribution;
  readonly failures: FailureCounts;
  readonly reconnects: number;
}

export interface StreamsOutcome {
  readonly kind: 'streams';
  readonly streams: number;
  readonly elapsedMs: number;
  readonly events: number;
  readonly eventsLost: number;
  readonly firstEvent: Distribution;
  readonly gap: Distribution;
  readonly total: Distribution;
  readonly failures: FailureCounts;
}

export interface CancelOutcome {
  readonly kind: 'cancel';
  /** When each tagged client dropped its connection, in ns of the machine's monotonic clock. */
  readonly dropped: readonly { readonly tag: number; readonly atNs: number }[];
  readonly failures: FailureCounts;
}

export type Outcome = ProbeOutcome | ClosedLoopOutcome | StreamsOutcome | CancelOutcome;
export type OutcomeOf<K extends Order['kind']> = Extract<Outcome, { readonly kind: K }>;
