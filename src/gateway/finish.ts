import { REFUSALS, type Refusal, type RefusalCode } from '#contracts/errors';
import type { Outcome, RecordedTokens, UsageRecord } from '#contracts/record';
import { costMicroUsd } from '#core/pricing';
import { estimateOutputTokens, writeErrorBody, writeErrorEvent } from '#dialects';
import type { Door } from './door.ts';
import { requestIdHeaders, retryHeaders } from './headers.ts';
import type { Life } from './life.ts';
import type { StreamEnd } from './stream.ts';

/** How a request ends: exactly one of these, whatever happened. */
export type Ending =
  /** A body that is complete: an answer (200), or an error of the engine's that is the caller's own. */
  | { readonly kind: 'whole'; readonly status: number; readonly body: readonly Uint8Array[] }
  /** The answer has been streamed; a broken one still needs its last event. */
  | { readonly kind: 'streamed'; readonly end: StreamEnd }
  /** Not answered: refused by us, or no replica could. */
  | { readonly kind: 'refused'; readonly refusal: Refusal };

export const refused = (refusal: Refusal): Ending => ({ kind: 'refused', refusal });

/** How long a client that is refused in the middle of its body may go on sending it, so that it can read the refusal. */
const LINGER_MS = 1_000;

/**
 * Stages 8 and 9, the one way out: writes what is still to be written, gives back what was taken, and records, exactly once.
 * Nothing in it waits, and nothing in it can be cancelled.
 */
export function finish(door: Door, life: Life, ending: Ending): void {
  life.enter('settle');
  const code = ending.kind === 'refused' ? ending.refusal.code : ending.kind === 'streamed' ? (ending.end?.code ?? null) : null;
  const status = write(door, life, ending);
  // What the kernel has not taken yet may go as slowly as the client reads, but it must go.
  if (life.outgoing.writableLength > 0) life.outgoing.setTimeout(door.config.timeouts.idle_ms);
  const isRecordable = life.hasJournalSpace || door.admission.reserveRefused(life);
  const tokens = tokensOf(life);
  door.admission.release(life, tokens);
  door.memory.bytes -= life.heldBytes;
  life.unwatch();
  const record = recordOf(door, life, { outcome: outcomeOf(ending, life), status, code, tokens });
  if (isRecordable) door.journal.append(record);
  door.metrics.request(record);
  door.onEnd(life, record);
}

/** @returns the status that the client was sent */
function write(door: Door, life: Life, ending: Ending): number {
  const { outgoing } = life;
  switch (ending.kind) {
    case 'whole': {
      send(
        door,
        life,
        ending.status,
        { 'content-type': 'application/json', ...requestIdHeaders(life), ...life.limitHeaders },
        ending.body,
      );
      return ending.status;
    }
    case 'streamed':
      if (ending.end === null) outgoing.end();
      else if (ending.end.code === 'client_gone') outgoing.destroy();
      else if (life.progress?.error) outgoing.end();
      else {
        const event = writeErrorEvent(life.dialect, ending.end, life.id);
        life.responseBytes += event.length;
        outgoing.end(event);
      }
      return 200;
    case 'refused': {
      const { refusal } = ending;
      const status = statusOf(refusal.code, life);
      if (refusal.code === 'client_gone') outgoing.destroy();
      else {
        const body = Buffer.from(writeErrorBody(life.dialect, refusal, life.id));
        send(
          door,
          life,
          status,
          { 'content-type': 'application/json', ...requestIdHeaders(life), ...retryHeaders(refusal), ...life.limitHeaders },
          [body],
        );
      }
      return status;
    }
  }
}

/** 529 is Anthropic's word for overload; OpenAI's clients know 503. */
function statusOf(code: RefusalCode, { dialect }: Life): number {
  const { status } = REFUSALS[code];
  return status === 529 && dialect !== 'anthropic' ? 503 : status;
}

function send({ clock }: Door, life: Life, status: number, headers: Record<string, string>, body: readonly Uint8Array[]): void {
  const { incoming, outgoing } = life;
  const bytes = body.length === 1 ? (body[0] as Uint8Array) : Buffer.concat(body);
  life.responseBytes += bytes.length;
  if (status === 200) life.firstContentUs ??= clock.nowUs() - life.startUs;
  if (incoming.complete) {
    outgoing.writeHead(status, { ...headers, 'content-length': String(bytes.length) });
    outgoing.end(bytes);
    return;
  }
  // The client is still sending its body. Closing now would reset the connection, and the answer with it, before it was read:
  // so answer, let the rest run into the sand for a moment, and close.
  outgoing.writeHead(status, { ...headers, 'content-length': String(bytes.length), connection: 'close' });
  outgoing.write(bytes);
  const close = (): void => {
    timer.cancel();
    outgoing.end();
    incoming.socket.destroySoon();
  };
  const timer = clock.after(LINGER_MS, close);
  incoming.once('end', close);
  incoming.once('close', close);
  incoming.resume();
}

function outcomeOf(ending: Ending, life: Life): Outcome {
  switch (ending.kind) {
    case 'whole':
      return ending.status === 200 ? 'answered' : 'refused_by_upstream';
    case 'streamed':
      if (ending.end === null) return 'answered';
      return ending.end.code === 'client_gone' ? 'client_gone' : ending.end.code === 'shutting_down' ? 'shut_down' : 'broken';
    case 'refused':
      if (ending.refusal.code === 'client_gone') return 'client_gone';
      if (ending.refusal.code === 'shutting_down') return 'shut_down';
      return REFUSALS[ending.refusal.code].fault === 'upstream' || life.attempts.length > 0 ? 'failed' : 'refused';
  }
}

interface End {
  readonly outcome: Outcome;
  readonly status: number;
  readonly code: RefusalCode | null;
  readonly tokens: RecordedTokens;
}

function recordOf({ clock }: Door, life: Life, { outcome, status, code, tokens }: End): UsageRecord {
  const { caller, place, model } = life;
  return {
    version: 1,
    id: life.id,
    atMs: life.atMs,
    organization: caller?.organization ?? null,
    workspace: caller?.workspace ?? null,
    key: caller?.id ?? null,
    endUser: life.endUser,
    conversation: life.conversation,
    dialect: life.dialect,
    operation: life.operation,
    streamed: life.isStream,
    model: model?.id ?? null,
    behavior: place?.behavior ?? null,
    pool: place?.pool.id ?? null,
    region: place?.pool.region ?? null,
    attempts: life.attempts,
    outcome,
    status,
    code,
    stopReason: life.progress?.stopReason ?? null,
    tokens,
    costMicroUsd: model?.price ? costMicroUsd(model.price, tokens) : null,
    stagesUs: life.stagesUs,
    firstContentUs: life.firstContentUs,
    durationUs: clock.nowUs() - life.startUs,
    requestBytes: life.requestBytes,
    responseBytes: life.responseBytes,
    guards: life.guards,
  };
}

/** Bytes of a request body for a token, where the engine did not say how many it read. */
const BODY_BYTES_PER_TOKEN = 4;

/** Tokens as the engine counted them; what it did not get to say is counted from what was delivered, and marked so. */
function tokensOf({ progress, attempts, requestBytes, operation }: Life): RecordedTokens {
  if (operation === 'count_tokens') return { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, estimated: false };
  const usage = progress?.usage ?? {};
  // Engines that were at work when the request ended may have read its input, and nobody can say whether they did.
  const mayHaveWorked = attempts.some(
    ({ outcome, status }) => outcome === 'aborted' || outcome === 'timed_out' || status === 200,
  );
  const isInputKnown = usage.input !== undefined || usage.cacheRead !== undefined || usage.cacheWrite !== undefined;
  const isKnown = progress?.hasFinalUsage === true && isInputKnown;
  return {
    input: usage.input ?? (mayHaveWorked && !isInputKnown ? Math.ceil(requestBytes / BODY_BYTES_PER_TOKEN) : 0),
    cacheRead: usage.cacheRead ?? 0,
    cacheWrite: usage.cacheWrite ?? 0,
    output: progress?.hasFinalUsage === true ? (usage.output ?? 0) : progress ? estimateOutputTokens(progress) : 0,
    estimated: mayHaveWorked && !isKnown,
  };
}
