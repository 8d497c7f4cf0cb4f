import type { IncomingMessage, ServerResponse } from 'node:http';
import { refusal, type Refusal } from '#contracts/errors';
import type { Dialect, Operation } from '#contracts/record';
import { place, type AttemptVerdict } from '#core/routing';
import { mayServe } from '#core/tenancy';
import { authenticate } from './authenticate.ts';
import type { Door } from './door.ts';
import { finish, refused, type Ending } from './finish.ts';
import { Life } from './life.ts';
import { prepare } from './prepare.ts';
import { needsVersionCheck, receiveBody, receiveHead, versionOf, type Received } from './receive.ts';
import { refusalOfAbort } from './refusal-of-abort.ts';
import type { Caller } from './tenants/tenant-directory.ts';
import type { Place } from './topology.ts';
import { tryOnce } from './try-once.ts';

/**
 * One request in, one answer out. Read `answer` from top to bottom: it is the life of a request. Whatever happens in it becomes
 * an `Ending`, and `finish` is the one way out: it writes what is still to be written, settles, and records, exactly once.
 */
export async function handle(
  door: Door,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  route: { readonly dialect: Dialect; readonly operation: Operation },
): Promise<void> {
  const life = new Life(incoming, outgoing, route, {
    id: `req_${door.random.hex(12)}`,
    clock: door.clock,
    totalMs: door.config.timeouts.total_ms,
    address: door.clientAddress(incoming),
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
    const problem = refusal('internal', 'Internal error');
    ending = outgoing.headersSent ? { kind: 'streamed', end: problem } : refused(problem);
  }
  finish(door, life, ending);
}

async function answer(door: Door, life: Life): Promise<Ending> {
  // 1, 2. Receive and authenticate. The head first: a caller that is not known may not make us hold a body.
  life.enter('receive');
  const badHead = receiveHead(life, door.config);
  if (badHead) return refused(badHead);
  life.enter('authenticate');
  const caller = authenticate(life.incoming, door.tenants, 'api');
  if (!caller.ok) return refused(strangerRefusal(door, life, caller.error));
  life.caller = caller.value;
  const notHere = mayCall(door, life, caller.value);
  if (notHere) return refused(notHere);
  life.enter('receive');
  const received = await receiveBody(life, door);
  if (!received.ok) return refused(received.error);
  if (needsVersionCheck(life, received.value)) {
    const broken = await door.translator.checkVersion(versionOf(life.incoming), received.value.bytes, life.signal);
    if (broken) return refused(broken);
  }

  // 3. Admit: limits and journal space, all or nothing.
  life.enter('admit');
  life.modelId = received.value.asked.model;
  life.model = door.topology.models.get(life.modelId) ?? null;
  const admitting = door.admission.admit(life, caller.value, received.value, life.model);
  const notAdmitted = admitting instanceof Promise ? await admitting : admitting;
  if (notAdmitted) return refused(notAdmitted);
  if (life.signal.reason) return refused(refusalOfAbort(life.signal.reason)); // it left while a store was asked

  // 4. Screen the input: no behavior of this version declares a screen, so none runs, and the record's list of guards is empty.

  // 5, 6, 7. Place, attempt, stream: the only loop over replicas. What is still to be done then is `finish`'s.
  return tryReplicas(door, life, received.value);
}

async function tryReplicas(door: Door, life: Life, received: Received): Promise<Ending> {
  life.enter('place');
  if (life.model === null) return refused(unknownModel(received.asked.model));
  const { places } = life.model;
  const tried = new Set(elsewhere(places, life.caller));
  const attemptsMax = tried.size + door.config.attempts.max;
  let last: AttemptVerdict | null = null;
  door.retryBudget.request(door.clock.nowUs());

  while (tried.size < attemptsMax && last?.next !== 'stop') {
    const placed = place(places, tried, door.clock.nowUs(), door.random.next());
    if (placed.kind !== 'replica') return refused(last?.refusal ?? unplaced(placed.kind === 'paused' ? placed.waitUs : null));
    if (last?.next === 'move_on' && !door.retryBudget.tryTake(door.clock.nowUs())) break;
    tried.add(placed.index);
    const chosen = places[placed.index] as Place;
    life.place = chosen;
    const preparing = prepare(life, received, door);
    const prepared = preparing instanceof Promise ? await preparing : preparing;
    if (!prepared.ok) return refused(prepared.error);

    life.enter('attempt');
    const result = await tryOnce(door, life, chosen, prepared.value);
    if (result.kind === 'ending') return result.ending;
    last = result.verdict;
    chosen.replica.pause(last.pauseMs, door.clock);
    life.enter('place');
  }
  return refused(last?.refusal ?? unplaced(null));
}

/** A key that is not ours, or not for this: counted against its address, so that keys cannot be guessed at speed. */
function strangerRefusal(door: Door, life: Life, problem: Refusal): Refusal {
  return problem.code === 'unauthenticated' ? (door.unknownKeys.count(life.address) ?? problem) : problem;
}

/** May this caller call from here, and from this gateway as long as it has heard nothing of its tenants? */
function mayCall(door: Door, life: Life, caller: Caller): Refusal | null {
  if (caller.scopes.hasAddresses && !caller.scopes.allowsAddress(life.address))
    return refusal('forbidden', 'This key may not be used from this address');
  if (!mayServe(caller.tenant.organization.whenCutOff, door.tenants.cutOffForMs()))
    return refusal(
      'tenants_unknown',
      'This gateway cannot hear of revocations, and this organization does not allow that for so long',
      {
        retryAfterMs: 5_000,
      },
    );
  return null;
}

/** Places in regions that the caller's key may not use. */
function elsewhere(places: readonly Place[], caller: Caller | null): number[] {
  if (!caller?.key.scopes.regions) return [];
  return places.flatMap(({ pool }, index) => (caller.scopes.allowsRegion(pool.region) ? [] : [index]));
}

const unknownModel = (id: string): Refusal =>
  refusal('model_not_found', `model: ${id} is not served here; GET /v1/models lists what is`, { param: 'model' });

function unplaced(waitUs: number | null): Refusal {
  if (waitUs === null) return refusal('no_replica', 'No replica serves this model at the moment');
  const retryAfterMs = Math.ceil(waitUs / 1000);
  return refusal('upstream_busy', 'All replicas of this model are overloaded; try again shortly', { retryAfterMs });
}
