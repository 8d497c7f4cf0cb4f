import type { AttemptOutcome } from '#contracts/record';
import { judgeAttempt, type AttemptVerdict } from '#core/routing';
import { estimateOutputTokens } from '#dialects';
import { attempt, type AttemptResult } from './attempt.ts';
import { factOf, recordOf } from './attempt-fact.ts';
import type { Door } from './door.ts';
import { refused, type Ending } from './finish.ts';
import { streamHeaders } from './headers.ts';
import type { Life } from './life.ts';
import type { Prepared } from './prepare.ts';
import { refusalOfAbort } from './refusal-of-abort.ts';
import { stream, type StreamEnd } from './stream.ts';
import type { Place } from './topology.ts';

/** What one attempt led to: the end of the request, or a failure that another replica may make good. */
export type Tried =
  | { readonly kind: 'ending'; readonly ending: Ending }
  | { readonly kind: 'failed'; readonly verdict: AttemptVerdict };

/** One attempt, and the stream that follows it where one does. The replica counts the work as open until its last byte. */
export async function tryOnce(door: Door, life: Life, chosen: Place, prepared: Prepared): Promise<Tried> {
  const { replica } = chosen;
  const startUs = door.clock.nowUs();
  replica.outstanding++;
  try {
    const result = await attempt(replica.engine, prepared, door, life.signal);
    return result.kind === 'stream' ? await passOn(door, life, result, startUs) : conclude(door, life, prepared, result, startUs);
  } finally {
    replica.outstanding--;
  }
}

/** An answer whose content has begun: nothing can move it any more, so what follows is the end of the request. */
async function passOn(
  door: Door,
  life: Life,
  result: Extract<AttemptResult, { kind: 'stream' }>,
  startUs: number,
): Promise<Tried> {
  const { clock, config, metrics } = door;
  const firstContentUs = clock.nowUs() - startUs;
  life.progress = result.stream.relay.progress;
  life.enter('stream');
  metrics.firstContent(life, firstContentUs);
  life.outgoing.writeHead(200, streamHeaders(life));
  const end = await stream(life, result.stream, {
    clock,
    idleMs: config.timeouts.idle_ms,
    onGap: metrics.gap,
    onOutput: (progress, nowUs) => life.admitted?.onOutput(estimateOutputTokens(progress), nowUs) ?? null,
  });
  const outcome = outcomeOf(end);
  if (outcome === 'broken_after_content' || outcome === 'timed_out') metrics.upstreamError('after_content', outcome);
  note(door, life, result, { outcome, startUs, firstContentUs });
  return { kind: 'ending', ending: { kind: 'streamed', end } };
}

function outcomeOf(end: StreamEnd): AttemptOutcome {
  if (end === null) return 'answered';
  return end.code === 'upstream_broken' ? 'broken_after_content' : end.code === 'upstream_timeout' ? 'timed_out' : 'aborted';
}

/** An attempt of which nothing has reached the client. */
function conclude(
  door: Door,
  life: Life,
  prepared: Prepared,
  result: Exclude<AttemptResult, { kind: 'stream' }>,
  startUs: number,
): Tried {
  if (result.kind === 'failed' && life.signal.reason !== null) {
    note(door, life, result, { outcome: 'aborted', startUs, firstContentUs: null });
    return { kind: 'ending', ending: refused(refusalOfAbort(life.signal.reason)) };
  }
  const whole = result.kind === 'whole' && result.status === 200 ? prepared.readWhole(result.body) : null;
  const verdict = judgeAttempt(whole?.ok === false ? { kind: 'broken' } : factOf(result, door.clock));
  note(door, life, result, { outcome: verdict.outcome, startUs, firstContentUs: null });
  if (whole?.ok) {
    life.progress = whole.value.progress;
    return { kind: 'ending', ending: { kind: 'whole', status: 200, body: whole.value.body } };
  }
  if (result.kind === 'whole' && verdict.next === 'pass_error')
    return {
      kind: 'ending',
      ending: { kind: 'whole', status: result.status, body: [prepared.readError(result.status, result.body)] },
    };
  door.metrics.upstreamError('before_answer', verdict.outcome);
  return { kind: 'failed', verdict };
}

interface Noted {
  readonly outcome: AttemptOutcome;
  readonly startUs: number;
  readonly firstContentUs: number | null;
}

function note({ clock }: Door, life: Life, result: AttemptResult, { outcome, startUs, firstContentUs }: Noted): void {
  const durationUs = clock.nowUs() - startUs;
  life.attempts.push(
    recordOf(result, {
      replica: life.place?.replica.id ?? '',
      outcome,
      startUs: startUs - life.startUs,
      durationUs,
      firstContentUs,
    }),
  );
}
