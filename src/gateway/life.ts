import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '#contracts/clock';
import type { AttemptRecord, Dialect, Operation, Stage, UsageRecord } from '#contracts/record';
import type { AnswerProgress } from '#dialects';
import { ClientGone, DeadlineExceeded } from './abort-reasons.ts';
import type { KeyEntry } from './keyring.ts';
import type { Model, Place } from './topology.ts';

/**
 * One request from its first byte to its record: what is known of it so far, and the one signal that ends it. Stages fill it in;
 * `finish` reads it. Nothing else holds state of a request.
 */
export interface Life {
  readonly id: string;
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly dialect: Dialect;
  readonly operation: Operation;
  readonly atMs: number;
  readonly startUs: number;
  /** Aborted when the client leaves, the total deadline passes or the gateway must close; the reason says which. */
  readonly signal: AbortSignal;
  end(reason: Error): void;

  caller: KeyEntry | null;
  conversation: string | null;
  endUser: string | null;
  isStream: boolean;
  modelId: string | null;
  model: Model | null;
  place: Place | null;
  /** What is known of the tokens; the relay's own progress while an answer streams. */
  progress: AnswerProgress | null;
  requestBytes: number;
  responseBytes: number;
  firstContentUs: number | null;
  readonly attempts: AttemptRecord[];
  readonly guards: UsageRecord['guards'][number][];
  readonly stagesUs: { [stage in Stage]?: number };
  /** What must be given back when the request ends, whatever the end: a slot, reserved journal space, body bytes. */
  readonly releases: (() => void)[];
  /** Admission set journal space aside for the record. */
  hasJournalSpace: boolean;

  /** Ends the stage before and begins `stage`. */
  enter(stage: Stage): void;
  /** Takes away what watches the client and the clock. */
  unwatch(): void;
}

export interface LifeOptions {
  readonly id: string;
  readonly dialect: Dialect;
  readonly operation: Operation;
  readonly clock: Clock;
  readonly totalMs: number;
}

/** Begins a request: from here on a client that leaves is noticed in every phase. */
export function beginLife(incoming: IncomingMessage, outgoing: ServerResponse, options: LifeOptions): Life {
  const { clock } = options;
  const controller = new AbortController();
  const startUs = clock.nowUs();
  let stage: Stage | null = null;
  let stageStartUs = startUs;

  const end = (reason: Error): void => {
    if (!controller.signal.aborted) controller.abort(reason);
  };
  const deadline = clock.after(options.totalMs, () => end(new DeadlineExceeded('total')));
  // `close` comes after a whole response too; then nobody has left.
  const onClose = (): void => {
    if (!outgoing.writableFinished) end(new ClientGone());
  };
  outgoing.on('close', onClose);

  const life: Life = {
    id: options.id,
    incoming,
    outgoing,
    dialect: options.dialect,
    operation: options.operation,
    atMs: clock.wallMs(),
    startUs,
    signal: controller.signal,
    end,
    caller: null,
    conversation: null,
    endUser: null,
    isStream: false,
    modelId: null,
    model: null,
    place: null,
    progress: null,
    requestBytes: 0,
    responseBytes: 0,
    firstContentUs: null,
    attempts: [],
    guards: [],
    stagesUs: {},
    releases: [],
    hasJournalSpace: false,
    enter(next) {
      const now = clock.nowUs();
      if (stage !== null) life.stagesUs[stage] = (life.stagesUs[stage] ?? 0) + (now - stageStartUs);
      stage = next;
      stageStartUs = now;
    },
    unwatch() {
      deadline.cancel();
      outgoing.off('close', onClose);
      if (stage !== null) life.stagesUs[stage] = (life.stagesUs[stage] ?? 0) + (clock.nowUs() - stageStartUs);
      stage = null;
    },
  };
  return life;
}
