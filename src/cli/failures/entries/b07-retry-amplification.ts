import { response, signal, type FailureEntry } from '../entry.ts';
import { CLIENT_PATHS, errorBody, requestOf, sendJson } from '../kit/answers.ts';
import { askGateway } from '../kit/lab.ts';
import { each, startStopwatch } from '../kit/stopwatch.ts';

const REQUESTS = 300;
const BUDGET_RATIO = 0.1;

export const retryAmplification: FailureEntry = {
  id: 'B7',
  component: 'retries',
  failure: 'Retries multiply: every layer tries again what the layer below has tried',
  effect: 'An outage sustains itself: three times the load, when there is the least to carry it',
  signal: 'Attempts per request, from plimsoll_upstream_errors_total over plimsoll_requests_total, and in the records',
  response:
    'Second attempts come out of a budget (attempts.budget_ratio of the requests of ten seconds); when it is spent the request fails at once, and the client is told whether to try again',
  severity: 2,
  injection: `Three replicas that fail everything with 500; ${REQUESTS} requests, a budget of ${BUDGET_RATIO * 100} % and no floor`,
  async provoke(lab) {
    const replicas = await Promise.all([1, 2, 3].map(() => lab.replica((call) => sendJson(call, 500, errorBody('api_error')))));
    const gateway = await lab.gateway({
      pools: { harbor: { dialect: 'anthropic', replicas: replicas.map(({ url }) => url) } },
      config: { attempts: { max: 3, budget_ratio: BUDGET_RATIO, budget_floor_per_second: 0 } },
    });
    const elapsed = startStopwatch();
    const answers = await each(
      [...Array(REQUESTS).keys()],
      12,
      () => askGateway(gateway, { path: CLIENT_PATHS.anthropic, body: requestOf('harbor', 'hello') }).answer,
    );
    const tookMs = elapsed();
    const calls = replicas.reduce((sum, replica) => sum + replica.calls.length, 0);
    const bound = Math.floor(REQUESTS * (1 + BUDGET_RATIO));
    const scrape = await gateway.metrics();
    const scrapedMs = elapsed() - tookMs;
    const failed = scrape.sum('plimsoll_upstream_errors_total', { phase: 'before_answer', outcome: 'failed_before_answer' });
    const requests = scrape.sum('plimsoll_requests_total', { outcome: 'failed' });
    const attempts = (await lab.records(gateway, REQUESTS)).reduce((sum, record) => sum + record.attempts.length, 0);
    const guided = answers.filter(({ status, headers }) => status === 502 && headers['x-should-retry'] !== undefined).length;
    return [
      response('attempts stay within the budget', calls <= bound && calls > REQUESTS, {
        saw: `${calls} attempts for ${REQUESTS} requests (at most ${bound}; without a budget ${REQUESTS * 3})`,
        afterMs: Math.max(...answers.map(({ totalMs }) => totalMs)),
      }),
      response('each client is told whether to try again', guided === REQUESTS, {
        saw: `${guided} of ${REQUESTS} with x-should-retry`,
      }),
      signal('attempts per request can be told from the metrics', failed === calls && requests === REQUESTS, {
        saw: `${failed} / ${requests} = ${(failed / Math.max(1, requests)).toFixed(2)}`,
        afterMs: scrapedMs,
      }),
      signal('the records hold every attempt', attempts === calls, { saw: `${attempts} of ${calls}` }),
    ];
  },
};
