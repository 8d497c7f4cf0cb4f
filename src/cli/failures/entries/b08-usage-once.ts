import { NotProvoked, response, signal, type FailureEntry } from '../entry.ts';
import { answer, CLIENT_PATHS, errorBody, requestOf, sendJson } from '../kit/answers.ts';
import type { GatewayUnderTest } from '../kit/gateway-process.ts';
import { askGateway, configOf } from '../kit/lab.ts';
import { pause, startStopwatch, until } from '../kit/stopwatch.ts';

const ROUNDS = 3;
const CLIENTS = 6;
/** Output tokens of each answer, as its replica says. */
const TOKENS = 7;
/** journal.sync_ms; and what a scrape and the next write may take, ms. */
const SYNC_MS = 50;
const LATE_MS = 250;
const FLOW_MS_MAX = 25_000;

export const usageOnce: FailureEntry = {
  id: 'B8',
  component: 'usage',
  failure: 'A retry, a crash or a restart counts tokens twice, or not at all',
  effect: 'Wrong invoices and wrong quotas',
  signal:
    'Usage in the store against the records of the journal and the answers of clients; plimsoll_usage_lag_records, plimsoll_usage_lost_records; plimsoll_journal_unsynced_seconds says what a kill would cost',
  response:
    'One record a request, whatever its attempts, idempotent by id; records flow into the store exactly once, also after kill -9',
  severity: 3,
  injection: `${ROUNDS} times kill -9 at a random moment under load in which every fifth attempt fails, each time a start on the same data; then a recount`,
  obstacle: () => (process.platform === 'win32' ? 'this system has no kill -9' : null),
  boundMs: 55_000,
  async provoke(lab) {
    const replica = await lab.replica((call) => {
      if (call.number % 5 === 0) sendJson(call, 500, errorBody('api_error'));
      else answer(call, ['counted']);
    });
    const config = configOf(
      { harbor: { dialect: 'anthropic', replicas: [replica.url, replica.url] } },
      { stores: { control: 'embedded' }, attempts: { budget_ratio: 1 }, journal: { sync_ms: SYNC_MS } },
    );
    const elapsed = startStopwatch();
    const safe = new Set<string>();
    let sent = 0;
    let kills = 0;
    let unsyncedMsMax = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const gateway = await start();
      // This round's only: what an earlier kill cost is not missing a second time.
      const answered: { readonly id: string; readonly atMs: number }[] = [];
      let isOver = false;
      const clients = Array.from({ length: CLIENTS }, async () => {
        while (!isOver) {
          sent++;
          const { status, headers, end } = await askGateway(gateway, {
            path: CLIENT_PATHS.anthropic,
            body: requestOf('harbor', 'count'),
          }).answer;
          if (status === 200 && end === 'whole') answered.push({ id: String(headers['request-id']), atMs: elapsed() });
        }
      });
      await pause(600 + Math.floor(lab.draw() * 900));
      // What a kill costs can be known beforehand: records that wait for a slow disk are older than the interval, and the metric says so.
      const askedMs = elapsed();
      const waitedMs = Math.ceil((await gateway.metrics()).sum('plimsoll_journal_unsynced_seconds') * 1000);
      gateway.kill('SIGKILL');
      unsyncedMsMax = Math.max(unsyncedMsMax, waitedMs);
      isOver = true;
      await Promise.all([gateway.exit, ...clients]);
      if ((await gateway.exit).signal === 'SIGKILL') kills++;
      for (const { id, atMs } of answered) if (atMs < askedMs - waitedMs - SYNC_MS - LATE_MS) safe.add(id);
    }
    if (kills < ROUNDS || safe.size < 20) throw new NotProvoked(`${kills} of ${ROUNDS} kills, ${safe.size} answers before them`);

    const gateway = await start();
    const startedMs = elapsed();
    const rowsOf = async () => readRows((await gateway.operator('/admin/v1/usage?group_by=outcome')).body);
    // Everything that will ever be in the journal is in it: the store has to come to the same sum.
    const records = await gateway.records();
    const settled = await until(async () => {
      const rows = await rowsOf();
      return rows.reduce((sum, { requests }) => sum + requests, 0) >= records.length ? rows : null;
    }, FLOW_MS_MAX);
    const rows = settled ?? (await rowsOf());
    const settledMs = elapsed() - startedMs;
    await pause(600); // longer than the flow's interval: what came twice would be there by now
    const again = (await rowsOf()).reduce((sum, { requests }) => sum + requests, 0);
    const ids = new Set(records.map(({ id }) => id));
    const whole = records.filter(({ outcome }) => outcome === 'answered');
    const retried = whole.filter(({ attempts }) => attempts.length > 1).length;
    const inStore = rows.find(({ outcome }) => outcome === 'answered');
    const missing = [...safe].filter((id) => !ids.has(id)).length;
    const scrape = await gateway.metrics();
    const lost = scrape.sum('plimsoll_usage_lost_records');
    return [
      response('no record is there twice', ids.size === records.length && records.length <= sent, {
        saw: `${records.length} records, ${ids.size} ids, ${sent} requests sent, ${retried} answered by a second attempt`,
      }),
      response('nothing is missing that was older than the metric said', missing === 0, {
        saw: `${missing} of ${safe.size} missing; plimsoll_journal_unsynced_seconds was at most ${unsyncedMsMax / 1000}, sync_ms ${SYNC_MS}`,
      }),
      response(
        'the store comes to the same sum, and stays there',
        again === records.length && inStore?.output === TOKENS * whole.length,
        {
          saw: `${again} requests and ${inStore?.output ?? 0} tokens in the store; ${records.length} records, ${whole.length} × ${TOKENS} tokens`,
          afterMs: settledMs,
        },
      ),
      signal(
        'lag and losses are told',
        scrape.has('plimsoll_usage_lag_records') && scrape.has('plimsoll_usage_lost_records') && lost === 0,
        {
          saw: `plimsoll_usage_lag_records ${scrape.sum('plimsoll_usage_lag_records')}, plimsoll_usage_lost_records ${lost}`,
        },
      ),
      signal('usage can be asked for and recounted', inStore !== undefined && inStore.requests === whole.length, {
        saw: `${inStore?.requests ?? 0} answered in the store, ${whole.length} in the journal`,
        afterMs: settledMs,
      }),
    ];

    async function start(): Promise<GatewayUnderTest> {
      const started = await lab.tryGateway({ config });
      if (started.kind === 'refused') throw new NotProvoked(`no start: ${started.said.slice(-300)}`);
      return started.gateway;
    }
  },
};

interface Row {
  readonly outcome: string;
  readonly requests: number;
  readonly output: number;
}

function readRows(body: string): readonly Row[] {
  try {
    const { rows = [] } = JSON.parse(body) as {
      readonly rows?: readonly { group: { outcome?: string }; requests: number; output: number }[];
    };
    return rows.map(({ group, requests, output }) => ({ outcome: group.outcome ?? '', requests, output }));
  } catch {
    return [];
  }
}
