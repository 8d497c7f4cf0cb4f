import { response, signal, type FailureEntry } from '../entry.ts';
import { answer, CLIENT_PATHS, requestOf } from '../kit/answers.ts';
import { askGateway } from '../kit/lab.ts';
import { findClosedPort } from '../kit/scripted-replica.ts';
import { startStopwatch } from '../kit/stopwatch.ts';

const REQUESTS = 20;
/** How long a replica that refuses connections gets no new work, ms. */
const PAUSE_MS = 1_000;

export const connectRefused: FailureEntry = {
  id: 'A1',
  component: 'replica',
  failure: 'A replica is gone: connections to it are refused',
  effect: 'Attempts fail, and with them requests that another replica could have answered',
  signal: 'plimsoll_upstream_errors_total{phase="before_answer",outcome="unreachable"}; the record has an attempt `unreachable`',
  response: 'The request moves to another replica at no cost to the retry budget, and the dead one gets no new work for a second',
  severity: 3,
  injection: 'One of two replicas is a port on which nothing listens; 20 requests one after the other',
  async provoke(lab) {
    const live = await lab.replica((call) => answer(call, ['live']));
    const gateway = await lab.gateway({
      pools: { harbor: { dialect: 'anthropic', replicas: [`http://127.0.0.1:${await findClosedPort()}`, live.url] } },
    });
    const elapsed = startStopwatch();
    let answered = 0;
    let slowestMs = 0;
    for (let sent = 0; sent < REQUESTS; sent++) {
      const { status, totalMs } = await askGateway(gateway, { path: CLIENT_PATHS.anthropic, body: requestOf('harbor', 'hello') })
        .answer;
      if (status === 200) answered++;
      slowestMs = Math.max(slowestMs, totalMs);
    }
    const tookMs = elapsed();
    const scrape = await gateway.metrics();
    const detectMs = elapsed();
    const refused = scrape.sum('plimsoll_upstream_errors_total', { phase: 'before_answer', outcome: 'unreachable' });
    const records = await lab.records(gateway, REQUESTS);
    const moved = records.filter(
      ({ attempts, outcome }) => attempts[0]?.outcome === 'unreachable' && outcome === 'answered',
    ).length;
    const triesMax = 1 + Math.floor(tookMs / PAUSE_MS);
    return [
      response('every request is answered by the other replica', answered === REQUESTS, {
        saw: `${answered} of ${REQUESTS} answered, the slowest in ${slowestMs} ms`,
        afterMs: slowestMs,
      }),
      response('the dead replica gets no new work for a second', refused <= triesMax, {
        saw: `tried ${refused} times in ${tookMs} ms, at most ${triesMax} allowed`,
      }),
      signal('the metric counts the refused connections', refused > 0, { saw: `unreachable 0 → ${refused}`, afterMs: detectMs }),
      signal('the records show the attempt that moved on', moved > 0 && moved === refused, {
        saw: `${moved} of ${records.length} records`,
      }),
    ];
  },
};
