import { NotProvoked, response, signal, type FailureEntry } from '../entry.ts';
import { answer, CLIENT_PATHS, requestOf } from '../kit/answers.ts';
import type { ClientAnswer } from '../kit/client.ts';
import type { GatewayUnderTest } from '../kit/gateway-process.ts';
import { askGateway } from '../kit/lab.ts';
import { excessOf, press, wasServed, type Pressed } from '../kit/press.ts';
import { startRedisBetween, type RedisBetween } from '../kit/redis-between.ts';
import { noRedis, startRedis } from '../kit/servers.ts';
import { pause, until } from '../kit/stopwatch.ts';

/** 10 a second, 4 at once: a counter that begins anew every second would let 10 pass in a moment, and 20 around an edge. */
const WINDOW_S = 1;
const LIMIT = 10;
const BURST = 4;
const PER_SECOND = LIMIT / WINDOW_S;
const DAILY = 3;
const HOUR_US = 3_600_000_000;
const DAY_MS = 86_400_000;
/** How long before midnight the store's day is used up, ms. */
const TO_MIDNIGHT_MS = 1_500;

export const limitsClock: FailureEntry = {
  id: 'B4',
  component: 'limits',
  failure: "A limit's window turns over, or the clock that it is counted by jumps",
  effect: 'Twice the limit around every edge; a full refill, or an hour of lock-out, with every correction of a clock',
  signal:
    'The rate limit headers of every answer say what is left, and go on doing so over a jump; plimsoll_requests_total{outcome="refused"} counts what was refused',
  response:
    'Limits of a rate have no edges: what was let pass in any stretch of time is the refill of that time and one burst. A clock that steps back refills nothing and locks nobody out; one that leaps forward gives one burst. A day begins anew at midnight, once, also when the clock goes back over it',
  severity: 2,
  injection: `Requests at three times the limit across four window edges; then something between the gateway and its Redis hands the script that counts another time: an hour ahead, and right again; then it is put ${TO_MIDNIGHT_MS} ms before midnight, runs over it, and is put back over it twice`,
  obstacle: noRedis,
  boundMs: 40_000,
  async provoke(lab) {
    const redis = await lab.keep(startRedis());
    const between = await lab.keep(startRedisBetween(redis.port));
    const replica = await lab.replica((call) => answer(call, ['fine']));
    const pool = { dialect: 'anthropic', replicas: [replica.url] } as const;
    const gateway = await lab.gateway({
      pools: { harbor: pool, vault: pool },
      config: { stores: { limits: between.url }, limits: LIMITS },
    });

    const pressing = press(gateway, { model: 'harbor', clients: 4, restMs: 120 });
    const times: number[] = [];
    for (const [aheadUs, forMs] of [
      [0, 4 * 1_000 * WINDOW_S + 200],
      [HOUR_US, 1_000],
      [0, 1_500],
    ] as const) {
      between.stepClock(aheadUs);
      times.push(performance.now());
      await pause(forMs);
    }
    const pressed = await pressing.stop();
    const edges = { first: times[0] ?? 0, leap: times[1] ?? 0, back: times[2] ?? 0 };
    const steady = served(pressed, edges.first, edges.leap);
    const leapt = served(pressed, edges.leap, edges.back);
    const wentBack = served(pressed, edges.back, Infinity);
    const rate = { perSecond: PER_SECOND, burst: BURST };
    const refusedBack = pressed.filter(({ fromMs, answer: got }) => fromMs > edges.back && got.status === 429);
    const longestWaitS = Math.max(...refusedBack.map(({ answer: got }) => Number(got.headers['retry-after'])));
    const inSteady = Math.floor(((edges.leap - edges.first) / 1000) * PER_SECOND);

    const day = await overMidnight(gateway, between);
    if (!between.isStepped()) throw new NotProvoked('no question of the limits came by, so no clock was stepped');
    const refused = pressed.filter(({ answer: got }) => got.status === 429).length + day.refused;
    const scrape = await gateway.metrics();
    const counted = scrape.sum('plimsoll_requests_total', { outcome: 'refused' });
    return [
      response('a window has no edges', excessOf(steady, rate) === 0 && steady.length > 0.8 * inSteady, {
        saw: `${steady.length} served in ${Math.round((edges.leap - edges.first) / 100) / 10} s, ${excessOf(steady, rate)} more than ${PER_SECOND} a second with ${BURST} at once`,
      }),
      response('a clock that leaps an hour forward gives one burst', excessOf(leapt, rate) === 0 && leapt.length > 0, {
        saw: `${leapt.length} served in the second after it, ${excessOf(leapt, rate)} too many`,
      }),
      response(
        'one that steps an hour back refills nothing and locks nobody out',
        excessOf([...leapt, ...wentBack], rate) === 0 && wentBack.length > 0.5 * 1.5 * PER_SECOND && longestWaitS <= 1,
        {
          saw: `${wentBack.length} served in 1.5 s after it, ${excessOf([...leapt, ...wentBack], rate)} too many since the leap; the longest retry-after ${longestWaitS} s`,
        },
      ),
      response(
        'a day begins anew at midnight, once',
        day.steps.every(({ got, expected }) => got === expected),
        {
          saw: day.steps.map(({ when, got, expected }) => `${when}: ${got} of ${expected} served`).join('; '),
          afterMs: day.anewMs,
        },
      ),
      signal(
        'what is left of the day is told, anew after midnight and not when the clock goes back',
        day.steps.every(({ left, got }) => left.at(-1) === '0' && new Set(left).size === Math.max(1, got)),
        {
          saw: day.steps.map(({ when, left }) => `${when}: ${left.join(' ')} left of ${DAILY}`).join('; '),
        },
      ),
      signal('refusals are counted', counted === refused && refused > 0, {
        saw: `refused 0 → ${counted}; clients saw ${refused}`,
      }),
    ];
  },
};

const LIMITS = {
  model_classes: ['harbor', 'vault'].map((id) => ({ id, models: [id] })),
  rules: [
    { id: 'pace', limit: LIMIT, window: `${WINDOW_S}s`, burst: BURST, model_classes: ['harbor'] },
    { id: 'daily', limit: DAILY, window: 'day', when_away: 'closed', model_classes: ['vault'] },
  ].map((rule) => ({ ...rule, per: ['key', 'model_class'], of: 'requests', leased: false })),
};

/** Those that were served in a stretch of time, nothing of them outside. */
const served = (pressed: readonly Pressed[], fromMs: number, toMs: number): readonly Pressed[] =>
  pressed.filter((one) => wasServed(one) && one.fromMs > fromMs && one.toMs < toMs);

interface Midnight {
  readonly steps: readonly Step[];
  readonly refused: number;
  /** Until the first was served again. */
  readonly anewMs: number;
}

interface Step {
  readonly when: string;
  /** How many were served, and how many should have been. */
  readonly got: number;
  readonly expected: number;
  /** What the headers of the answers said was left. */
  readonly left: readonly string[];
}

async function overMidnight(gateway: GatewayUnderTest, between: RedisBetween): Promise<Midnight> {
  const steps: Step[] = [];
  let refused = 0;
  const send = async (): Promise<ClientAnswer> => {
    for (;;) {
      const answer = await askGateway(gateway, { path: CLIENT_PATHS.anthropic, body: requestOf('vault', 'open') }).answer;
      if (answer.status !== 503) return answer;
      // The store was asked in vain, as happens on a busy machine: what it took all the same goes back in a moment.
      refused++;
      await pause(150);
    }
  };
  const step = async (when: string, expected: number, before: readonly ClientAnswer[] = []): Promise<void> => {
    const answers = [...before];
    while (answers.length < DAILY + 2) answers.push(await send());
    const got = answers.filter(({ status }) => status === 200).length;
    refused += answers.filter(({ status }) => status === 429).length;
    const left = answers.map(({ headers }) => String(headers['anthropic-ratelimit-requests-remaining']));
    steps.push({ when, expected, got, left });
  };
  const toMidnightMs = DAY_MS - (Date.now() % DAY_MS);
  between.stepClock((toMidnightMs - TO_MIDNIGHT_MS) * 1000);
  const startedAt = performance.now();
  await step('before midnight', DAILY);
  const first = await until(async () => {
    const answer = await send();
    if (answer.status === 200) return answer;
    refused++;
    await pause(50);
    return null;
  }, TO_MIDNIGHT_MS + 1_500);
  const anewMs = Math.round(performance.now() - startedAt);
  await step('after it', DAILY, first === null ? [] : [first]);
  between.stepClock((toMidnightMs - 60_000) * 1000);
  await step('a minute before it again', 0);
  between.stepClock((toMidnightMs + 60_000) * 1000);
  await step('a minute after it again', 0);
  return { steps, refused, anewMs };
}
