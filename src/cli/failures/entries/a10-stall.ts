import { NotProvoked, response, signal, type FailureEntry } from '../entry.ts';
import { chunked, CLIENT_PATHS, framesOf, requestOf, streamHead } from '../kit/answers.ts';
import { readEvents } from '../kit/client.ts';
import { askGateway } from '../kit/lab.ts';
import { startStopwatch, until } from '../kit/stopwatch.ts';

const IDLE_MS = 300;
const FIRST_TOKEN_MS = 400;
/** How late a timer may be on a busy machine, ms. */
const LATE_MS = 700;

export const stall: FailureEntry = {
  id: 'A10',
  component: 'stream',
  failure: 'A replica stops sending without closing: before its first token, or between two',
  effect: 'The user waits for ever, and the replica goes on holding the work',
  signal:
    'plimsoll_upstream_errors_total{outcome="timed_out"}, both phases; the record says `upstream_timeout` and which attempt',
  response:
    'After timeouts.idle_ms the stream ends in an error event, after timeouts.first_token_ms the request fails or moves on; the replica is told to stop either way',
  severity: 3,
  injection: `Replicas that fall silent after two words, and after the 200; idle_ms ${IDLE_MS}, first_token_ms ${FIRST_TOKEN_MS}`,
  async provoke(lab) {
    const { before, content } = framesOf('anthropic', ['one ', 'two ']);
    let silentAt: (() => number) | null = null;
    const replica = await lab.replica((call) => {
      const isEarly = call.body.includes('early');
      call.write(streamHead() + [...before, ...(isEarly ? [] : content)].map(chunked).join(''));
      silentAt = startStopwatch();
    });
    const gateway = await lab.gateway({
      pools: { harbor: { dialect: 'anthropic', replicas: [replica.url] } },
      config: { timeouts: { idle_ms: IDLE_MS, first_token_ms: FIRST_TOKEN_MS } },
    });
    const send = async (text: string) => {
      const asking = askGateway(gateway, {
        path: CLIENT_PATHS.anthropic,
        body: requestOf('harbor', text, { stream: true }),
        boundMs: 5_000,
      });
      const answer = await asking.answer;
      if (silentAt === null) throw new NotProvoked('the replica was never asked');
      const afterMs = silentAt();
      const call = replica.calls.at(-1);
      const isTold = await until(() => call?.isClosed() === true, 1_000);
      return { answer, afterMs, isTold: isTold === true };
    };
    const between = await send('between');
    const early = await send('early');
    const elapsed = startStopwatch();
    const scrape = await gateway.metrics();
    const count = (phase: string): number => scrape.sum('plimsoll_upstream_errors_total', { phase, outcome: 'timed_out' });
    const detectMs = elapsed();
    const records = await lab.records(gateway, 2);
    const last = readEvents(between.answer.body).events.at(-1);
    return [
      response('between two tokens: an error event in time', last?.event === 'error' && between.afterMs <= IDLE_MS + LATE_MS, {
        saw: `${last?.event ?? 'nothing'} after ${between.afterMs} ms of silence`,
        afterMs: between.afterMs,
      }),
      response(
        'before the first token: a 504 in time',
        early.answer.status === 504 && early.afterMs <= FIRST_TOKEN_MS + LATE_MS,
        {
          saw: `status ${early.answer.status} after ${early.afterMs} ms`,
          afterMs: early.afterMs,
        },
      ),
      response('the replica is told to stop', between.isTold && early.isTold, {
        saw: `connections closed: ${between.isTold ? 'yes' : 'no'}, ${early.isTold ? 'yes' : 'no'}`,
      }),
      signal('the metric tells both phases', count('after_content') === 1 && count('before_answer') === 1, {
        saw: `timed_out after_content ${count('after_content')}, before_answer ${count('before_answer')}`,
        afterMs: detectMs,
      }),
      signal(
        'the records say upstream_timeout',
        records.length === 2 &&
          records.every(({ code, attempts }) => code === 'upstream_timeout' && attempts[0]?.outcome === 'timed_out'),
        { saw: records.map(({ code, outcome }) => `${outcome} ${code}`).join(', ') },
      ),
    ];
  },
};
