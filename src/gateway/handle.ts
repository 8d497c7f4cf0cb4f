import type { IncomingMessage, ServerResponse } from 'node:http';
import { refusal, type Refusal } from '#contracts/errors';
import type { Dialect, Operation } from '#contracts/record';
import { judgeAttempt, place, type AttemptVerdict } from '#core/routing';
import { attempt, type AttemptResult } from './attempt.ts';
import { factOf, recordOf } from './attempt-fact.ts';
import { authenticate } from './authenticate.ts';
import type { Door } from './door.ts';
import { finish, refused, type Ending } from './finish.ts';
import { Life } from './life.ts';
import { prepare, type Prepared } from './prepare.ts';
import { receiveBody, receiveHead, type Received } from './receive.ts';
import { streamHeaders } from './headers.ts';
import { refusalOfAbort } from './refusal-of-abort.ts';
import { stream } from './stream.ts';
import type { Place } from './topology.ts';

/**
 * One request in, one answer out. Read `answer` from top to bottom: it is the life of a request. Whatever happens in it becomes
 * an `Ending`, and `finish` is the one way out: it writes what is still to be written, settles, and records, exactly once.
 */
export async function handle(
  door: Door,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  asked: { readonly dialect: Dialect; readonly operation: Operation },
): Promise<void> {
  const life = new Life(incoming, outgoing, {
    ...asked,
    id: `req_${door.random.hex(12)}`,
    clock: door.clock,
    totalMs: door.config.timeouts.total_ms,
  });
  door.onBegin(life);
  let ending: Ending;
  try {
    ending = await answer(door, life);
  } catch (error) {
    door.log.error('a request failed in the gateway itself', {
      request: life.id,
      error: error instanceof Error ? (error.stack ?? error.message) : 'unknown',
    });
    ending = refused(refusal('internal', 'Internal error'));
  }
  finish(door, life, ending);
}

async function answer(door: Door, life: Life): Promise<Ending> {
  // 1, 2. Receive and authenticate. The head first: a caller that is not known may not make us hold a body.
  life.enter('receive');
  const badHead = receiveHead(life, door.config);
  if (badHead) return refused(badHead);
  life.enter('authenticate');
  const caller = authenticate(life.incoming, door.keyring, 'api');
  if (!caller.ok) return refused(caller.error);
  life.caller = caller.value;
  life.enter('receive');
  const received = await receiveBody(life, door);
  if (!received.ok) return refused(received.error);

  // 3. Admit: limits and journal space, all or nothing.
  life.enter('admit');
  const notAdmitted = door.admission.admit(life, caller.value);
  if (notAdmitted) return refused(notAdmitted);

  // 4. Screen the input: no behavior of this version declares a screen, so none runs, and the record's list of guards is empty.

  // 5, 6, 7. Place, attempt, stream: the only loop over replicas.
  life.enter('place');
  life.modelId = received.value.asked.model;
  life.model = door.topology.models.get(life.modelId) ?? null;
  if (life.model === null)
    return refused(
      refusal('model_not_found', `model: ${life.modelId} is not served here; GET /v1/models lists what is`, { param: 'model' }),
    );
  return tryReplicas(door, life, received.value);
}

async function tryReplicas(door: Door, life: Life, received: Received): Promise<Ending> {
  const places = life.model?.places ?? [];
  const tried = new Set<number>();
  let last: AttemptVerdict | null = null;
  door.retryBudget.request(door.clock.nowUs());

  while (tried.size < door.config.attempts.max) {
    life.enter('place');
    const placed = place(
      places.map(({ replica }) => replica),
      tried,
      door.clock.nowUs(),
      door.random.next(),
    );
    if (placed.kind !== 'replica') return refused(last?.refusal ?? unplaced(placed.kind === 'paused' ? placed.waitUs : null));
    if (last?.next === 'move_on' && !door.retryBudget.tryTake(door.clock.nowUs())) break;
    tried.add(placed.index);
    const chosen = places[placed.index] as Place;
    life.place = chosen;

    const prepared = await prepare(life, received, chosen, {
      answerBytesMax: door.config.bounds.answer_bytes,
      translator: door.translator,
      isolation: isolationOf(life),
    });
    if (!prepared.ok) return refused(prepared.error);

    life.enter('attempt');
    const result = await tryOnce(door, life, chosen, prepared.value);
    if (result.kind === 'ending') return result.ending;
    last = result.verdict;
    if (last.next === 'stop') break;
  }
  return refused(last?.refusal ?? unplaced(null));
}

type Tried = { readonly kind: 'ending'; readonly ending: Ending } | { readonly kind: 'failed'; readonly verdict: AttemptVerdict };

/** One attempt, and the stream that follows it where one does. The replica counts the work as open until its last byte. */
async function tryOnce(door: Door, life: Life, chosen: Place, prepared: Prepared): Promise<Tried> {
  const { replica } = chosen;
  const { clock, config, metrics } = door;
  const startUs = clock.nowUs();
  replica.outstanding++;
  try {
    const result: AttemptResult = await attempt(
      {
        engine: replica.engine,
        request: prepared.request,
        createRelay: prepared.createRelay,
        clock,
        firstTokenMs: config.timeouts.first_token_ms,
        answerBytesMax: config.bounds.answer_bytes,
      },
      life.signal,
    );
    const firstContentUs = clock.nowUs() - startUs;
    if (result.kind === 'stream') {
      life.progress = result.stream.relay.progress;
      life.enter('stream');
      metrics.firstContent(life, firstContentUs);
      life.outgoing.writeHead(200, streamHeaders(life));
      const end = await stream(life, result.stream, { clock, idleMs: config.timeouts.idle_ms, onGap: metrics.gap });
      const outcome =
        end === null
          ? 'answered'
          : end.code === 'upstream_broken'
            ? 'broken_after_content'
            : end.code === 'upstream_timeout'
              ? 'timed_out'
              : 'aborted';
      if (outcome !== 'answered' && outcome !== 'aborted') metrics.upstreamError('after_content', outcome);
      life.attempts.push(
        recordOf(result, {
          chosen,
          startUs: startUs - life.startUs,
          durationUs: clock.nowUs() - startUs,
          outcome,
          firstContentUs,
        }),
      );
      return { kind: 'ending', ending: { kind: 'streamed', end } };
    }

    const whole = result.kind === 'whole' && result.status === 200 ? prepared.readWhole(result.body) : null;
    const isAborted = result.kind === 'failed' && life.signal.reason !== null;
    const verdict = isAborted ? null : judgeAttempt(whole?.ok === false ? { kind: 'broken' } : factOf(result, clock.wallMs()));
    life.attempts.push(
      recordOf(result, {
        chosen,
        startUs: startUs - life.startUs,
        durationUs: clock.nowUs() - startUs,
        outcome: verdict?.outcome ?? 'aborted',
        firstContentUs: null,
      }),
    );
    if (verdict === null) return { kind: 'ending', ending: refused(refusalOfAbort(life.signal.reason)) };
    if (verdict.pauseMs > 0) replica.pausedUntilUs = Math.max(replica.pausedUntilUs, clock.nowUs() + verdict.pauseMs * 1000);
    if (verdict.refusal) metrics.upstreamError('before_answer', verdict.outcome);
    if (whole?.ok) {
      life.progress = whole.value.progress;
      return { kind: 'ending', ending: { kind: 'whole', status: 200, body: whole.value.body } };
    }
    if (result.kind === 'whole' && verdict.next === 'pass_error')
      return {
        kind: 'ending',
        ending: { kind: 'whole', status: result.status, body: [prepared.readError(result.status, result.body)] },
      };
    return { kind: 'failed', verdict };
  } finally {
    replica.outstanding--;
  }
}

/** Engines of ours share computed prefixes inside a workspace only. */
const isolationOf = (life: Life): string => `${life.caller?.organization ?? ''}/${life.caller?.workspace ?? ''}`;

function unplaced(waitUs: number | null): Refusal {
  if (waitUs === null) return refusal('no_replica', 'No replica serves this model at the moment');
  return refusal('upstream_busy', 'All replicas of this model are overloaded; try again shortly', {
    retryAfterMs: Math.ceil(waitUs / 1000),
  });
}
