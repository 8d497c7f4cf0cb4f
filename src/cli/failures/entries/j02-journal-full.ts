import { NotProvoked, response, signal, type FailureEntry } from '../entry.ts';
import { answer, CLIENT_PATHS, requestOf } from '../kit/answers.ts';
import { askGateway } from '../kit/lab.ts';
import { each, startStopwatch } from '../kit/stopwatch.ts';

const BYTES_MAX = 1024 * 1024;
const WAVE = 200;
const WAVES_MAX = 20;

export const journalFull: FailureEntry = {
  id: 'J2',
  component: 'usage',
  failure: 'The journal reaches its bound, because the usage store takes no records',
  effect: 'The disk fills up until everything on the machine fails, or traffic is served that nobody can account for',
  signal:
    '/readyz says 503 and why; plimsoll_journal_bytes against journal.bytes_max; requests end as `refused`, `unrecordable`; the log says that the store is away',
  response:
    'The journal never grows beyond journal.bytes_max; then new requests are refused with 503 and a time to come back (journal.when_full: refuse), and no record is lost',
  severity: 2,
  injection: `journal.bytes_max of ${BYTES_MAX / 1024} KiB, a store that cannot be reached, and requests until one is refused`,
  async provoke(lab) {
    const replica = await lab.replica((call) => answer(call, ['fine']));
    const gateway = await lab.gateway({
      pools: { harbor: { dialect: 'anthropic', replicas: [replica.url] } },
      config: { journal: { bytes_max: BYTES_MAX } },
    });
    const ids: string[] = [];
    const elapsed = startStopwatch();
    let refused = null;
    let fullMs = 0;
    for (let wave = 0; wave < WAVES_MAX && refused === null; wave++) {
      fullMs = elapsed();
      const answers = await each(
        [...Array(WAVE).keys()],
        8,
        () => askGateway(gateway, { path: CLIENT_PATHS.anthropic, body: requestOf('harbor', 'hello') }).answer,
      );
      for (const { status, headers } of answers) if (status === 200) ids.push(String(headers['request-id']));
      refused = answers.find(({ status }) => status !== 200) ?? null;
    }
    if (refused === null) throw new NotProvoked(`${ids.length} requests did not fill it`);
    const ready = await gateway.operator('/readyz');
    const seenMs = elapsed() - fullMs;
    const scrape = await gateway.metrics();
    const bytes = scrape.sum('plimsoll_journal_bytes');
    const counted = scrape.sum('plimsoll_requests_total', { outcome: 'refused' });
    const found = new Set((await lab.records(gateway, ids.length)).map(({ id }) => id));
    const kept = ids.filter((id) => found.has(id)).length;
    const isLogged = gateway.log().includes('"kind":"away"');
    return [
      response('new requests are refused', refused.status === 503 && Number(refused.headers['retry-after']) > 0, {
        saw: `after ${ids.length} answers: status ${refused.status}, retry-after ${refused.headers['retry-after']}`,
        afterMs: refused.totalMs,
      }),
      response('the journal stays below its bound', bytes <= BYTES_MAX && bytes > 0, { saw: `${bytes} of ${BYTES_MAX} bytes` }),
      response('no record is lost', kept === ids.length, { saw: `${kept} of ${ids.length}` }),
      signal('/readyz says why', ready.status === 503 && ready.body.includes('journal'), {
        saw: `status ${ready.status}: ${ready.body.slice(0, 140)}`,
        afterMs: seenMs,
      }),
      signal('metric and log tell', counted > 0 && isLogged, {
        saw: `refused 0 → ${counted}, ${isLogged ? 'the log says away' : 'no line in the log'}`,
      }),
    ];
  },
};
