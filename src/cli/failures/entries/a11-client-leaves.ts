import { NotProvoked, response, signal, type Check, type FailureEntry } from '../entry.ts';
import { chunked, CLIENT_PATHS, framesOf, requestOf, streamHead } from '../kit/answers.ts';
import { askGateway } from '../kit/lab.ts';
import type { ReplicaCall } from '../kit/scripted-replica.ts';
import { median, pause, startStopwatch, until } from '../kit/stopwatch.ts';

const TIMES = 5;
/** The promise: the client's leaving reaches the replica within this, ms. */
const WITHIN_MS = 100;

const PHASES = ['whole', 'waiting', 'gated', 'streaming', 'translated'] as const;
type Phase = (typeof PHASES)[number];

export const clientLeaves: FailureEntry = {
  id: 'A11',
  component: 'client',
  failure: 'A client disconnects, and the replica goes on generating for nobody',
  effect: 'Capacity is spent on answers that no one reads, and queues grow',
  signal:
    'plimsoll_requests_total{outcome="client_gone"}; plimsoll_open_requests falls back; the record says `client_gone`: 499 before any content, afterwards the tokens delivered, estimated',
  response: `In every phase the call to the replica is cancelled within ${WITHIN_MS} ms`,
  severity: 3,
  injection: `Clients leave while they wait for a whole answer, for a status, after the 200, in the middle of a stream, and in a translated stream, ${TIMES} times each; and in the middle of sending the body`,
  async provoke(lab) {
    const frames = framesOf('anthropic', ['one ', 'two ']);
    const replica = await lab.replica((call: ReplicaCall) => {
      if (call.body.includes('waiting') || call.body.includes('whole')) return;
      if (call.body.includes('gated')) return void call.write(streamHead() + frames.before.map(chunked).join(''));
      call.write(streamHead() + [...frames.before, ...frames.content].map(chunked).join(''));
    });
    const gateway = await lab.gateway({ pools: { harbor: { dialect: 'anthropic', replicas: [replica.url] } } });
    const delays = new Map<Phase, number[]>(PHASES.map((phase) => [phase, []]));
    for (const phase of PHASES) for (let time = 0; time < TIMES; time++) delays.get(phase)?.push(await leave(phase));

    const asked = replica.calls.length;
    const half = askGateway(gateway, {
      path: CLIENT_PATHS.anthropic,
      body: requestOf('harbor', 'never sent'),
      stopAfterBytes: 20,
    });
    await pause(50);
    half.leave();
    await half.answer;

    const total = PHASES.length * TIMES;
    const elapsed = startStopwatch();
    const gone = await until(async () => {
      const count = (await gateway.metrics()).sum('plimsoll_requests_total', { outcome: 'client_gone' });
      return count >= total ? count : null;
    }, 2_000);
    const detectMs = elapsed();
    const open = (await gateway.metrics()).sum('plimsoll_open_requests');
    const records = await lab.records(gateway, total);
    const left = records.filter(({ outcome }) => outcome === 'client_gone');
    const before = left.filter(({ status, tokens }) => status === 499 && tokens.output === 0).length;
    const streamed = left.filter(({ status, tokens }) => status === 200 && tokens.output > 0 && tokens.estimated).length;
    return [
      ...PHASES.map((phase): Check => {
        const ms = delays.get(phase) ?? [];
        return response(`the replica hears of it (${phase})`, median(ms) <= WITHIN_MS, {
          saw: `median ${median(ms)} ms, slowest ${Math.max(...ms)} ms of ${ms.length}`,
          afterMs: median(ms),
        });
      }),
      response('of a body that was never sent whole, no replica hears', replica.calls.length === asked, {
        saw: `${replica.calls.length - asked} calls`,
      }),
      signal('the metric counts those who left', gone !== null, {
        saw: `client_gone 0 → ${gone ?? `fewer than ${total}`}`,
        afterMs: detectMs,
      }),
      signal('no request stays open', open === 0, { saw: `plimsoll_open_requests ${open}` }),
      signal('the records say 499, or what had been delivered', before + streamed >= total && streamed === 2 * TIMES, {
        saw: `${before} records with 499, ${streamed} with tokens delivered`,
      }),
    ];

    /** Leaves in a phase; answers how many ms later the replica's connection was closed. */
    async function leave(phase: Phase): Promise<number> {
      const already = replica.calls.length;
      const isTranslated = phase === 'translated';
      const asking = askGateway(gateway, {
        path: CLIENT_PATHS[isTranslated ? 'openai' : 'anthropic'],
        body: requestOf('harbor', phase, phase === 'whole' ? {} : { stream: true }),
      });
      const call = await until(() => replica.calls[already] ?? null, 2_000);
      if (call === null) throw new NotProvoked(`the replica was not asked (${phase})`);
      if (phase === 'streaming' || isTranslated) await until(() => asking.bytes() > 0, 2_000);
      const sinceMs = startStopwatch();
      asking.leave();
      await until(() => call.isClosed(), 2_000);
      const afterMs = sinceMs();
      await asking.answer;
      return afterMs;
    }
  },
};
