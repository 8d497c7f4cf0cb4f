import { response, signal, type FailureEntry } from '../entry.ts';
import { answer, chunked, CLIENT_PATHS, framesOf, LAST_CHUNK, requestOf, streamHead } from '../kit/answers.ts';
import { textOf } from '../kit/client.ts';
import { askGateway } from '../kit/lab.ts';
import type { ReplicaCall } from '../kit/scripted-replica.ts';
import { startStopwatch } from '../kit/stopwatch.ts';

const OVERLOADED = 'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n';
const SERVER_ERROR = 'data: {"error":{"message":"busy","type":"server_error","code":500}}\n\n';

export const errorAfter200: FailureEntry = {
  id: 'A9',
  component: 'stream',
  failure: 'A replica says 200, and then sends an error event before any content',
  effect: 'The failure is taken for an answer that has begun, and no other replica is asked',
  signal:
    'plimsoll_upstream_errors_total{phase="before_answer"}; the record has the attempt as `backpressure` or `failed_before_answer`',
  response:
    'Until the first content nothing reaches the client: the attempt counts as failed before it began, another replica answers; where none can, the client gets an error status, not a 200',
  severity: 3,
  injection:
    'The first replica that is asked sends its 200, the first events and then an overloaded error, in both dialects; then all replicas do',
  async provoke(lab) {
    const failed = new Set<string>();
    const fail = (call: ReplicaCall): void => {
      const dialect = call.path.includes('/messages') ? 'anthropic' : 'openai';
      const before = dialect === 'anthropic' ? framesOf('anthropic', []).before : [];
      call.write(
        streamHead() + [...before, dialect === 'anthropic' ? OVERLOADED : SERVER_ERROR].map(chunked).join('') + LAST_CHUNK,
      );
      call.done();
    };
    const behave = (call: ReplicaCall): void => {
      const tag = /(once|always)-\w+/.exec(call.body)?.[0] ?? '';
      if (tag.startsWith('once') && failed.has(tag)) return answer(call, ['well']);
      failed.add(tag);
      fail(call);
    };
    const [first, second] = [await lab.replica(behave), await lab.replica(behave)];
    const gateway = await lab.gateway({
      pools: {
        anthropic: { dialect: 'anthropic', replicas: [first.url, second.url] },
        openai: { dialect: 'openai', replicas: [first.openaiUrl, second.openaiUrl] },
      },
    });
    const send = async (dialect: 'anthropic' | 'openai', how: 'once' | 'always') =>
      await askGateway(gateway, { path: CLIENT_PATHS[dialect], body: requestOf(dialect, `${how}-${dialect}`, { stream: true }) })
        .answer;
    const elapsed = startStopwatch();
    const moved = [await send('anthropic', 'once'), await send('openai', 'once')];
    const scrape = await gateway.metrics();
    const detectMs = elapsed();
    const seen = scrape.sum('plimsoll_upstream_errors_total', { phase: 'before_answer' });
    const none = await send('openai', 'always');
    const records = await lab.records(gateway, 3);
    const outcomes = records.map(({ attempts }) => attempts.map(({ outcome }) => outcome).join('+'));
    return [
      response(
        'another replica answers',
        moved.every(({ status, body }) => status === 200 && textOf(body) === 'well' && !body.includes('rror')),
        {
          saw: moved.map(({ status, body }) => `${status} ${JSON.stringify(textOf(body))}`).join(', '),
          afterMs: Math.max(...moved.map(({ totalMs }) => totalMs)),
        },
      ),
      response(
        'with no replica left the client gets an error status',
        none.status >= 500 && none.headers['x-should-retry'] !== undefined,
        {
          saw: `status ${none.status}, x-should-retry ${none.headers['x-should-retry']}`,
        },
      ),
      signal('the metric counts the attempts before the answer', seen === 2, {
        saw: `before_answer 0 → ${seen}`,
        afterMs: detectMs,
      }),
      signal(
        'the records tell backpressure from ill health',
        outcomes[0] === 'backpressure+answered' && outcomes[1] === 'failed_before_answer+answered',
        { saw: outcomes.join(', ') },
      ),
    ];
  },
};
