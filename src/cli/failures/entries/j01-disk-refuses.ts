import { spawnSync } from 'node:child_process';
import { NotProvoked, response, signal, type FailureEntry } from '../entry.ts';
import { answer, CLIENT_PATHS, requestOf } from '../kit/answers.ts';
import { askGateway } from '../kit/lab.ts';
import { startStopwatch, until } from '../kit/stopwatch.ts';

const WITHIN_MS = 5_000;

export const diskRefuses: FailureEntry = {
  id: 'J1',
  component: 'usage',
  failure: 'The disk under the journal takes no more bytes',
  effect: 'Traffic is served that nobody can account for, or the process dies',
  signal: '/readyz says 503 and why; the log has a line; requests end as `refused`, `unrecordable`',
  response:
    'New requests are refused with 503 and a time to come back (journal.when_full: refuse), what was taken is kept, and when the disk takes bytes again so does the gateway',
  severity: 2,
  injection:
    "The size of files that the gateway's process may write is limited from outside (prlimit) to what the journal has, and freed again",
  obstacle: () =>
    spawnSync('prlimit', ['--version']).status === 0
      ? null
      : 'there is no prlimit here (util-linux), and nothing else that limits a process from outside without rights',
  async provoke(lab) {
    const replica = await lab.replica((call) => answer(call, ['fine']));
    const gateway = await lab.gateway({ pools: { harbor: { dialect: 'anthropic', replicas: [replica.url] } } });
    const send = () => askGateway(gateway, { path: CLIENT_PATHS.anthropic, body: requestOf('harbor', 'hello') }).answer;
    const ids: string[] = [];
    const sendKept = async (): Promise<number> => {
      const { status, headers } = await send();
      if (status === 200) ids.push(String(headers['request-id']));
      return status;
    };
    for (let sent = 0; sent < 10; sent++) await sendKept();
    await lab.records(gateway, 10);

    limit('1');
    const elapsed = startStopwatch();
    const refusedStatus = await until(async () => {
      const status = await sendKept();
      return status === 200 ? null : status;
    }, WITHIN_MS);
    const refusedMs = elapsed();
    const refused = await send();
    const readiness = await until(async () => {
      const got = await gateway.operator('/readyz');
      return got.status === 503 ? got.body : null;
    }, WITHIN_MS);
    const seenMs = elapsed();
    const isLogged = /journal/.test(gateway.log());
    limit('unlimited');
    const back = startStopwatch();
    const isBack = await until(async () => (await sendKept()) === 200, WITHIN_MS);
    const backMs = back();
    const ready = await gateway.operator('/readyz');
    const kept = await until(async () => {
      const found = new Set((await gateway.records()).map(({ id }) => id));
      return ids.every((id) => found.has(id));
    }, WITHIN_MS);
    const counted = (await gateway.metrics()).sum('plimsoll_requests_total', { outcome: 'refused' });
    return [
      response(
        'new requests are refused',
        refusedStatus === 503 && refused.headers['retry-after'] !== undefined && refused.body.includes('recorded'),
        {
          saw:
            refusedStatus === null ? 'all were served' : `status ${refusedStatus}, retry-after ${refused.headers['retry-after']}`,
          afterMs: refusedMs,
        },
      ),
      response('when the disk is back, so is the gateway', isBack !== null && ready.status === 200, {
        saw: isBack === null ? 'still refused' : `served again after ${backMs} ms, ready ${ready.status}`,
      }),
      response('every request that was answered is on the disk', kept !== null, {
        saw: `${ids.length} answers, ${kept === null ? 'not all' : 'all'} recorded`,
      }),
      signal('/readyz says why', readiness !== null && readiness.includes('journal'), {
        saw: readiness ?? 'ready all the time',
        afterMs: seenMs,
      }),
      signal('the log has a line, and the metric counts the refused', isLogged && counted > 0, {
        saw: `${isLogged ? 'a line' : 'no line'}, refused 0 → ${counted}`,
      }),
    ];

    /** The soft limit only: it can be raised again. */
    function limit(bytes: string): void {
      const { status, stderr } = spawnSync('prlimit', ['--pid', String(gateway.pid), `--fsize=${bytes}:`], { encoding: 'utf8' });
      if (status !== 0) throw new NotProvoked(`prlimit: ${stderr.trim()}`);
    }
  },
};
