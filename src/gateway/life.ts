import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock, Timer } from '#contracts/clock';
import type { AttemptRecord, Dialect, Operation, Stage, UsageRecord } from '#contracts/record';
import type { AnswerProgress } from '#dialects';
import { ClientGone, DeadlineExceeded } from './abort-reasons.ts';
import { EndSignal } from './end-signal.ts';
import type { Admitted } from './limits/admitted.ts';
import type { Caller } from './tenants/tenant-directory.ts';
import type { Model, Place } from './topology.ts';

export interface LifeOptions {
  readonly id: string;
  readonly clock: Clock;
  readonly totalMs: number;
  readonly address: string;
}

/**
 * One request from its first byte to its record: what is known of it so far, and the one signal that ends it. Stages fill it in;
 * `finish` reads it. Nothing else holds state of a request. From its making on, a client that leaves is noticed in every phase.
 */
export class Life {
  readonly id: string;
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly dialect: Dialect;
  readonly operation: Operation;
  readonly atMs: number;
  readonly startUs: number;
  /** Ended when the client leaves, the total deadline passes or the gateway must close; the reason says which. */
  readonly signal = new EndSignal();

  caller: Caller | null = null;
  /** The client's address, as far as it can be believed. */
  readonly address: string;
  conversation: string | null = null;
  endUser: string | null = null;
  isStream = false;
  modelId: string | null = null;
  model: Model | null = null;
  place: Place | null = null;
  /** What is known of the tokens; the relay's own progress while an answer streams. */
  progress: AnswerProgress | null = null;
  /** The last bytes of what the client wrote, for signals of repetition; never kept beyond the request. */
  tail: Buffer | null = null;
  requestBytes = 0;
  responseBytes = 0;
  firstContentUs: number | null = null;
  readonly attempts: AttemptRecord[] = [];
  readonly guards: UsageRecord['guards'][number][] = [];
  readonly stagesUs = new StageTimes();

  /** Its place among the open requests. */
  openIndex = -1;

  // What was taken and `finish` gives back.
  /** Bytes of the body that count against the bound on all bodies. */
  heldBytes = 0;
  /** Counted among the gateway's open requests. */
  isAdmitted = false;
  /** What it has taken of its limits. */
  admitted: Admitted | null = null;
  /** What its client is told of its limits. */
  limitHeaders: Record<string, string> | null = null;
  hasJournalSpace = false;

  readonly #clock: Clock;
  readonly #deadline: Timer;
  readonly #onClose: () => void;
  #stage: Stage | null = null;
  #stageStartUs: number;

  constructor(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    { dialect, operation }: { readonly dialect: Dialect; readonly operation: Operation },
    { id, clock, totalMs, address }: LifeOptions,
  ) {
    this.id = id;
    this.address = address;
    this.incoming = incoming;
    this.outgoing = outgoing;
    this.dialect = dialect;
    this.operation = operation;
    this.#clock = clock;
    this.atMs = clock.wallMs();
    this.startUs = this.#stageStartUs = clock.nowUs();
    this.#deadline = clock.after(totalMs, () => this.signal.end(new DeadlineExceeded('total')));
    // `close` comes after a whole response too; then nobody has left.
    this.#onClose = () => {
      if (!outgoing.writableFinished) this.signal.end(new ClientGone());
    };
    outgoing.on('close', this.#onClose);
  }

  /** Ends the stage before and begins `stage`. */
  enter(stage: Stage): void {
    const now = this.#clock.nowUs();
    if (this.#stage !== null) this.stagesUs[this.#stage] = (this.stagesUs[this.#stage] ?? 0) + (now - this.#stageStartUs);
    this.#stage = stage;
    this.#stageStartUs = now;
  }

  /** Ends the last stage, and takes away what watches the client and the clock. */
  unwatch(): void {
    this.#deadline.cancel();
    this.outgoing.off('close', this.#onClose);
    if (this.#stage !== null) this.enter(this.#stage);
    this.#stage = null;
  }
}

/** All stages from the start, so that filling them in does not reshape the object eight times a request. */
class StageTimes implements Record<Stage, number | undefined> {
  receive: number | undefined = undefined;
  authenticate: number | undefined = undefined;
  admit: number | undefined = undefined;
  screen: number | undefined = undefined;
  place: number | undefined = undefined;
  attempt: number | undefined = undefined;
  stream: number | undefined = undefined;
  settle: number | undefined = undefined;
}
