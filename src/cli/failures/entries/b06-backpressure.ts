import { response, signal, type FailureEntry } from '../entry.ts';
import { answer, CLIENT_PATHS, errorBody, requestOf, sendJson } from '../kit/answers.ts';
import { askGateway } from '../kit/lab.ts';
import { each, pause, startStopwatch } from '../kit/stopwatch.ts';

const LONG_S = 1;
const SHORT_MS = 150;
/** Timers of two processes, ms. */
const EARLY_MS = 30;

export const backpressure: FailureEntry = {
  id: 'B6',
  component: 'replica',
  failure: "A replica's 429 is taken for ill health",
  effect: 'A busy pool is thrown out replica by replica, or is hammered before it can breathe',
  signal:
    'plimsoll_upstream_errors_total{outcome="backpressure"}, apart from failures; the record has the attempt as `backpressure`',
  response:
    'The replica gets no new work until the longest deadline that it named, others answer meanwhile, and then it serves again; with all replicas busy the client is told when to come back',
  severity: 2,
  injection: `One of two replicas answers two requests at once with 429, come back in ${LONG_S} s and in ${SHORT_MS} ms; then both replicas do`,
  async provoke(lab) {
    let isBusy = true;
    let told = 0;
    const busyTimes: number[] = [];
    const elapsed = startStopwatch();
    const busy = await lab.replica(async (call) => {
      busyTimes.push(elapsed());
      if (!isBusy) return answer(call, ['busy one']);
      const which = ++told;
      // Both are here before either is answered, so that the second answer cannot know of the first.
      while (told < 2 && elapsed() < 3_000) await pause(2);
      if (which === 2) await pause(20);
      sendJson(
        call,
        429,
        errorBody('rate_limit_error'),
        which <= 1 ? { 'retry-after': String(LONG_S) } : { 'retry-after-ms': String(SHORT_MS) },
      );
    });
    const other = await lab.replica(async (call) => {
      await pause(5);
      if (call.body.includes('all-busy')) return sendJson(call, 429, errorBody('rate_limit_error'), { 'retry-after': '2' });
      answer(call, ['other one']);
    });
    const gateway = await lab.gateway({
      pools: {
        harbor: { dialect: 'anthropic', replicas: [busy.url, other.url] },
        lone: { dialect: 'anthropic', replicas: [other.url] },
      },
    });
    const send = (text: string, model = 'harbor') =>
      askGateway(gateway, { path: CLIENT_PATHS.anthropic, body: requestOf(model, text) }).answer;
    const first = await each([...Array(6).keys()], 6, () => send('hello'));
    const pausedAt = elapsed();
    isBusy = false;
    const callsWhenTold = busyTimes.length;
    const scrape = await gateway.metrics();
    const detectMs = elapsed() - pausedAt;
    let during = 0;
    while (busyTimes.length === callsWhenTold && elapsed() - pausedAt < 4_000) {
      const got = await send('hello');
      if (got.status === 200) during++;
      await pause(10);
    }
    const backMs = (busyTimes[callsWhenTold] ?? Infinity) - Math.max(...busyTimes.slice(0, callsWhenTold), 0);
    const all = await send('all-busy', 'lone');
    const counted = scrape.sum('plimsoll_upstream_errors_total', { phase: 'before_answer', outcome: 'backpressure' });
    const ill = scrape.sum('plimsoll_upstream_errors_total', { outcome: 'failed_before_answer' });
    const records = await lab.records(gateway, 6);
    const recorded = records.filter(
      ({ attempts, outcome }) => attempts[0]?.outcome === 'backpressure' && outcome === 'answered',
    ).length;
    return [
      response('others answer meanwhile', first.every(({ status }) => status === 200) && during > 0, {
        saw: `${first.filter(({ status }) => status === 200).length} of 6 at first, ${during} while it was paused`,
        afterMs: Math.max(...first.map(({ totalMs }) => totalMs)),
      }),
      response('the longest deadline is kept, and then it serves again', backMs >= LONG_S * 1000 - EARLY_MS && backMs < 4_000, {
        saw: Number.isFinite(backMs)
          ? `asked again after ${backMs} ms; it had said ${LONG_S * 1000} and ${SHORT_MS}`
          : 'never asked again',
      }),
      response(
        'with all busy the client is told when to come back',
        all.status === 529 && Number(all.headers['retry-after']) >= 1,
        {
          saw: `status ${all.status}, retry-after ${all.headers['retry-after']}, x-should-retry ${all.headers['x-should-retry']}`,
        },
      ),
      signal('backpressure is counted apart from failures', counted === told && ill === 0, {
        saw: `backpressure 0 → ${counted} of ${told}, failed_before_answer ${ill}`,
        afterMs: detectMs,
      }),
      signal('the records say backpressure', recorded === told, { saw: `${recorded} of ${told} records` }),
    ];
  },
};
