import { NotProvoked, response, signal, type FailureEntry } from '../entry.ts';
import { answer } from '../kit/answers.ts';
import type { Started } from '../kit/gateway-process.ts';
import { configOf } from '../kit/lab.ts';
import { awayBecause, isAway } from '../kit/limits-away.ts';
import { excessOf, press, wasServed } from '../kit/press.ts';
import { startRedisBetween } from '../kit/redis-between.ts';
import { noRedis, startRedis } from '../kit/servers.ts';
import { pause, startStopwatch, until } from '../kit/stopwatch.ts';

const PER_SECOND = 20;
const BURST = 10;
/** The gateway sends a request over its limit so often, ms; and what its answer may take to be seen. */
const PROBE_MS = 10_000;
const LATE_MS = 1_000;
/** After the detection; and until the store is trusted again. */
const HELD_MS = 2_000;
const BACK_MS_MAX = 6_000;

export const limitsOpen: FailureEntry = {
  id: 'B3',
  component: 'limits',
  failure: 'The store of limits answers, and lets everything pass: a wrong option, an upgrade, a proxy that repeats itself',
  effect: 'Unlimited spending, and not one error anywhere',
  signal:
    'plimsoll_limits_away is 1 and /admin/v1/status says that a request over its limit was not refused; at the start, exit code 1 and the same words',
  response: `A request over its limit, sent every ${PROBE_MS / 1000} s and at each start, has to be refused. When it is not, a start is refused, and a gateway that serves goes on with its part of the limit, until it is refused again`,
  severity: 2,
  injection:
    'Something between the gateway and its Redis puts every question and answers it with yes: before a start, and in the middle of serving under five times the load that the limit allows; and a Redis that may evict counters, before a start',
  obstacle: noRedis,
  boundMs: 45_000,
  async provoke(lab) {
    const redis = await lab.keep(startRedis());
    const evicting = await lab.keep(startRedis(['--maxmemory', '8mb', '--maxmemory-policy', 'allkeys-lru']));
    const between = await lab.keep(startRedisBetween(redis.port));
    const replica = await lab.replica((call) => answer(call, ['fine']));
    const config = (limits: string): object =>
      configOf(
        { harbor: { dialect: 'anthropic', replicas: [replica.url] } },
        {
          stores: { limits },
          limits: {
            rules: [{ id: 'pace', per: ['key'], of: 'requests', limit: PER_SECOND, window: '1s', burst: BURST, leased: false }],
          },
        },
      );

    between.sayYes(true);
    const elapsedStart = startStopwatch();
    const atStart = await lab.tryGateway({ config: config(between.url), name: 'lied-to' });
    const refusedMs = elapsedStart();
    const onEvicting = await lab.tryGateway({ config: config(evicting.url), name: 'evicting' });
    between.sayYes(false);
    const starts = [atStart, onEvicting].map((one) =>
      one.kind === 'serving' ? 'it serves' : `exit code ${one.exitCode}: ${lastLine(one.said)}`,
    );
    const startChecks = [
      response(
        'no gateway starts on a store that refuses nothing, or may forget',
        [atStart, onEvicting].every(isRefusedInWords),
        { saw: starts.join('; '), afterMs: refusedMs },
      ),
      signal('the start says why', [atStart, onEvicting].every(isRefusedInWords), { saw: starts.join('; ') }),
    ];
    // What believes a store that lies from the start need not be tried with one that begins to.
    if (atStart.kind === 'serving') return startChecks;
    const started = await lab.tryGateway({ config: config(between.url) });
    if (started.kind === 'refused') throw new NotProvoked(`no start: ${started.said.slice(-300)}`);
    const { gateway } = started;

    const pressing = press(gateway, { model: 'harbor', clients: 5, restMs: 45 });
    await pause(1_000);
    const honest = [...pressing.answers];
    const liesBefore = between.liesTold();
    between.sayYes(true);
    const lyingAt = performance.now();
    const elapsed = startStopwatch();
    const because = await until(async () => {
      // On a busy machine it may be away for a moment because an answer was late.
      const text = (await isAway(gateway)) ? await awayBecause(gateway) : '';
      return text.includes('was not refused') && text;
    }, PROBE_MS + LATE_MS);
    const seenMs = elapsed();
    const seenAt = performance.now();
    await pause(HELD_MS);
    const isStillAway = await isAway(gateway);
    const heldAt = performance.now();
    between.sayYes(false);
    const back = await until(async () => !(await isAway(gateway)), BACK_MS_MAX);
    await pause(300);
    const served = (await pressing.stop()).filter(wasServed);
    const lies = between.liesTold() - liesBefore;
    if (lies === 0) throw new NotProvoked('no question came while everything was answered with yes');

    const limit = { perSecond: PER_SECOND, burst: BURST };
    const passed = served.filter(({ fromMs, toMs }) => fromMs > lyingAt && toMs < seenAt).length;
    const after = served.filter(({ fromMs }) => fromMs > seenAt);
    const held = after.filter(({ toMs }) => toMs < heldAt).length;
    return [
      ...startChecks,
      response('a store that begins to let everything pass is found out', because !== null && seenMs <= PROBE_MS + LATE_MS, {
        saw:
          because === null
            ? `not within ${PROBE_MS + LATE_MS} ms`
            : `after ${seenMs} ms, in which ${passed} requests were served where the limit has ${Math.floor(BURST + (PER_SECOND * seenMs) / 1000)}, and ${lies} refusals were turned into a yes`,
        afterMs: seenMs,
      }),
      response('from then on the limit holds, at four fifths', excessOf(after, limit) === 0 && held > 0 && isStillAway, {
        saw: `${held} served in the next ${HELD_MS} ms, ${excessOf(after, limit)} more than ${PER_SECOND} a second with ${BURST} at once; ${isStillAway ? 'it is not trusted yet' : 'it is trusted again'}`,
      }),
      response(
        'before, the limit held, and a store that refuses again is trusted again',
        back !== null && excessOf(honest.filter(wasServed), limit) === 0,
        {
          saw: `${honest.filter(wasServed).length} of ${honest.length} served in the second before; ${back === null ? 'it stays away' : 'plimsoll_limits_away 1 → 0'}`,
        },
      ),
      signal('metric and status tell, with the reason', because !== null, {
        saw: because === null ? 'plimsoll_limits_away stayed 0' : `plimsoll_limits_away 0 → 1, because ${because}`,
        afterMs: seenMs,
      }),
    ];
  },
};

const isRefusedInWords = (one: Started): boolean =>
  one.kind === 'refused' && one.exitCode === 1 && /stores\.limits: .*(did not refuse|maxmemory-policy)/.test(one.said);

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';
