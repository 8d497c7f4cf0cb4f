import { NotProvoked, response, signal, type FailureEntry } from '../entry.ts';
import { answer, CLIENT_PATHS, requestOf } from '../kit/answers.ts';
import type { GatewayUnderTest } from '../kit/gateway-process.ts';
import { askGateway, type Setting } from '../kit/lab.ts';
import { awayBecause, isAway } from '../kit/limits-away.ts';
import { excessOf, press, wasServed, type Pressed } from '../kit/press.ts';
import { isAnswering, noRedis, startRedis } from '../kit/servers.ts';
import { median, pause, startStopwatch, until } from '../kit/stopwatch.ts';

/** One limit for both gateways together: requests a second, and at once. */
const PER_SECOND = 40;
const BURST = 20;
const BEFORE_MS = 800;
const FROZEN_MS = 2_500;
/** What a request may wait for the store, and what two busy cores may add, ms. */
const BUDGET_MS = 5;
const LATE_MS = 30;
const SLOWEST_MS = 500;
const BACK_MS_MAX = 6_000;

export const limitsFrozen: FailureEntry = {
  id: 'B1',
  component: 'limits',
  failure: 'The shared store of limits is frozen: it accepts, and never answers',
  effect: 'Every request hangs while all probes are green, or nothing is limited any more',
  signal:
    'plimsoll_limits_away is 1, plimsoll_limits_seconds{mode="away"} grows, /admin/v1/status says since when and why; what a request waits does not change',
  response: `A request waits ${BUDGET_MS} ms for the store, the next ones not at all: each gateway lets pass its part of four fifths of the limit, rules with when_away: closed refuse with 503; when the store answers again, so does everything`,
  severity: 2,
  injection: `SIGSTOP to a Redis that two gateways share, for ${FROZEN_MS} ms, under three times the load that the limit allows; then SIGCONT`,
  obstacle: noRedis,
  boundMs: 40_000,
  async provoke(lab) {
    const redis = await lab.keep(startRedis());
    const replica = await lab.replica((call) => answer(call, ['fine']));
    const setting = settingOf(replica.url, redis.url);
    const gateways = await Promise.all(['one', 'two'].map((name) => lab.gateway({ ...setting, name })));
    await until(async () => (await each(gateways, gatewaysKnown)).every((count) => count === 2), 2_000);

    const pressing = gateways.map((gateway) => press(gateway, { model: 'harbor', clients: 4, restMs: 60 }));
    await pause(BEFORE_MS);
    const awayBefore = await each(gateways, awaySeconds);
    redis.freeze();
    const frozenAt = performance.now();
    const elapsed = startStopwatch();
    const seen = await until(async () => (await each(gateways, isAway)).every(Boolean), 1_500);
    const seenMs = elapsed();
    const closed = await askVault(gateways);
    const ready = await each(gateways, (gateway) => gateway.operator('/readyz'));
    const because = await each(gateways, awayBecause);
    await pause(Math.max(0, FROZEN_MS - elapsed()));
    if (await isAnswering(redis.port, 100)) throw new NotProvoked('Redis answers all the same');
    const thawedAt = performance.now();
    redis.thaw();
    const thawed = startStopwatch();
    const back = await until(async () => {
      const isBack = (await each(gateways, isAway)).every((away) => !away);
      return isBack && (await askVault(gateways)).every(({ status }) => status === 200);
    }, BACK_MS_MAX);
    const backMs = thawed();
    await pause(400);
    const all = (await Promise.all(pressing.map((one) => one.stop()))).flat();
    const secondsAway = (await each(gateways, awaySeconds)).map((seconds, at) => seconds - (awayBefore[at] ?? 0));

    const before = all.filter(({ toMs }) => toMs < frozenAt);
    const during = all.filter(({ fromMs, toMs }) => fromMs >= frozenAt && toMs <= thawedAt);
    const served = all.filter(wasServed);
    const servedDuring = during.filter(wasServed).length;
    if (before.filter(wasServed).length < BURST) throw new NotProvoked('hardly anything was served before');
    const excess = excessOf(served, { perSecond: PER_SECOND, burst: BURST });
    const inPart = (PER_SECOND * 4 * (thawedAt - frozenAt)) / 5_000;
    const waits = { before: median(before.map(tookMs)), during: median(during.map(tookMs)) };
    const slowestMs = Math.round(Math.max(...during.map(tookMs)));
    return [
      response('no request waits for the store', slowestMs < SLOWEST_MS && waits.during < waits.before + BUDGET_MS + LATE_MS, {
        saw: `${during.length} answers while it was frozen, the slowest in ${slowestMs} ms; in the middle ${Math.round(waits.before)} ms before, ${Math.round(waits.during)} ms then`,
        afterMs: slowestMs,
      }),
      response('the limit holds, before, then and after', excess === 0, {
        saw: `${served.length} served in ${Math.round((Math.max(...all.map(({ toMs }) => toMs)) - Math.min(...all.map(({ fromMs }) => fromMs))) / 100) / 10} s, ${excess} more than ${PER_SECOND} a second with ${BURST} at once`,
      }),
      response('each gateway goes on with its part', servedDuring > 0.4 * inPart && servedDuring <= inPart + BURST, {
        saw: `${servedDuring} served while it was frozen; four fifths of the limit are ${Math.round(inPart)}`,
      }),
      response(
        'what must not pass unseen is refused',
        closed.every(({ status }) => status === 503),
        {
          saw: closed.map(({ status, headers }) => `status ${status}, retry-after ${headers['retry-after']}`).join('; '),
        },
      ),
      response('when it answers again, so does everything', back !== null, {
        saw: back === null ? `not within ${BACK_MS_MAX} ms` : `after ${backMs} ms`,
      }),
      signal('the metric says that it is away, on each gateway', seen !== null, {
        saw:
          seen === null
            ? 'plimsoll_limits_away stayed 0'
            : `plimsoll_limits_away 0 → 1; /readyz ${ready.map(({ status }) => status).join(', ')}`,
        afterMs: seenMs,
      }),
      signal(
        'the time without it is told',
        secondsAway.every((seconds) => seconds > (0.9 * FROZEN_MS) / 1000 && seconds < (FROZEN_MS + backMs) / 1000 + 1),
        {
          saw: `plimsoll_limits_seconds{mode="away"} ${secondsAway.map((seconds) => seconds.toFixed(1)).join(' and ')}; it was frozen for ${((thawedAt - frozenAt) / 1000).toFixed(1)} s`,
        },
      ),
      signal(
        'the status says why',
        because.every((text) => text.includes('no answer within')),
        { saw: because.join('; ') },
      ),
    ];
  },
};

const tookMs = ({ fromMs, toMs }: Pressed): number => toMs - fromMs;

function settingOf(replica: string, limits: string): Setting {
  const pool = { dialect: 'anthropic', replicas: [replica] } as const;
  return {
    pools: { harbor: pool, vault: pool },
    config: {
      stores: { limits },
      limits: {
        model_classes: ['harbor', 'vault'].map((id) => ({ id, models: [id] })),
        rules: [
          {
            id: 'pace',
            per: ['key', 'model_class'],
            of: 'requests',
            limit: PER_SECOND,
            window: '1s',
            burst: BURST,
            model_classes: ['harbor'],
          },
          {
            id: 'vault',
            per: ['key', 'model_class'],
            of: 'requests',
            limit: 100_000,
            window: '1m',
            when_away: 'closed',
            leased: false,
            model_classes: ['vault'],
          },
        ],
      },
    },
  };
}

const each = <T>(gateways: readonly GatewayUnderTest[], task: (gateway: GatewayUnderTest) => Promise<T>): Promise<T[]> =>
  Promise.all(gateways.map(task));
const awaySeconds = async (gateway: GatewayUnderTest): Promise<number> =>
  (await gateway.metrics()).sum('plimsoll_limits_seconds', { mode: 'away' });
const gatewaysKnown = async (gateway: GatewayUnderTest): Promise<number> =>
  (await gateway.metrics()).sum('plimsoll_limits_gateways');
const askVault = (gateways: readonly GatewayUnderTest[]) =>
  each(gateways, (gateway) => askGateway(gateway, { path: CLIENT_PATHS.anthropic, body: requestOf('vault', 'open') }).answer);
