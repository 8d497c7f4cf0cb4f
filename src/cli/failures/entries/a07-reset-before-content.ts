import { NotProvoked, response, signal, type FailureEntry } from '../entry.ts';
import { answer, chunked, CLIENT_PATHS, framesOf, requestOf, streamHead } from '../kit/answers.ts';
import { readEvents, textOf } from '../kit/client.ts';
import { askGateway } from '../kit/lab.ts';
import type { ReplicaCall } from '../kit/scripted-replica.ts';
import { each, median, startStopwatch } from '../kit/stopwatch.ts';

const WORDS = ['All ', 'is ', 'well.'];
const FRAMES = framesOf('anthropic', WORDS);
/** Everything that comes before the first word. */
const PRELUDE = Buffer.from(streamHead() + FRAMES.before.map(chunked).join(''));
const WIDTH = 8;

export const resetBeforeContent: FailureEntry = {
  id: 'A7',
  component: 'stream',
  failure: 'A replica breaks the connection before the first word of its answer, also after its 200',
  effect: 'A request is lost that another replica could have answered',
  signal:
    'plimsoll_upstream_errors_total{phase="before_answer",outcome="failed_before_answer"}; the record has the failed attempt',
  response:
    'Nothing has reached the client yet, so the request moves to another replica within the retry budget; the client sees one whole answer',
  severity: 3,
  injection: 'The connection is reset or closed after every single byte of the head and of what precedes the first word',
  async provoke(lab) {
    const broken = new Set<string>();
    const behave = (call: ReplicaCall): void => {
      const tag = /at=(\d+);/.exec(call.body)?.[1] ?? '';
      if (broken.has(tag)) return answer(call, WORDS);
      broken.add(tag);
      const bytes = Number(tag);
      const cut = (): void => (bytes % 2 === 0 ? call.reset() : call.end());
      if (bytes === 0) cut();
      else {
        call.write(PRELUDE.subarray(0, bytes));
        setImmediate(cut);
      }
    };
    const [first, second] = [await lab.replica(behave), await lab.replica(behave)];
    const gateway = await lab.gateway({
      pools: { harbor: { dialect: 'anthropic', replicas: [first.url, second.url] } },
      config: { attempts: { budget_ratio: 1, budget_floor_per_second: 1000 } },
    });
    const elapsed = startStopwatch();
    const offsets = [...PRELUDE.keys()];
    const answers = await each(
      offsets,
      WIDTH,
      async (at) =>
        await askGateway(gateway, {
          path: CLIENT_PATHS.anthropic,
          body: requestOf('harbor', `at=${at};`, { stream: true }),
        }).answer,
    );
    if (broken.size < offsets.length) throw new NotProvoked(`only ${broken.size} of ${offsets.length} connections were broken`);
    const whole = answers.filter(({ status, end, body }) => {
      const names = readEvents(body).events.map(({ event }) => event);
      const starts = names.filter((name) => name === 'message_start').length;
      return (
        status === 200 && end === 'whole' && textOf(body) === WORDS.join('') && starts === 1 && names.at(-1) === 'message_stop'
      );
    }).length;
    const tookMs = elapsed();
    const failed = (await gateway.metrics()).sum('plimsoll_upstream_errors_total', {
      phase: 'before_answer',
      outcome: 'failed_before_answer',
    });
    const scrapedMs = elapsed() - tookMs;
    const records = await lab.records(gateway, offsets.length);
    const told = records.filter(
      ({ attempts, outcome }) =>
        attempts[0]?.outcome === 'failed_before_answer' && attempts.length === 2 && outcome === 'answered',
    ).length;
    return [
      response('the client gets one whole answer, whatever the byte', whole === offsets.length, {
        saw: `${whole} of ${offsets.length} answers whole`,
        afterMs: median(answers.map(({ totalMs }) => totalMs)),
      }),
      signal('the metric counts each failed attempt', failed === offsets.length, {
        saw: `failed_before_answer 0 → ${failed}`,
        afterMs: scrapedMs,
      }),
      signal('each record shows the attempt that failed and the one that answered', told === offsets.length, {
        saw: `${told} of ${records.length} records`,
      }),
    ];
  },
};
