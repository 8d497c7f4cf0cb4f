import { expect, test } from 'vitest';
import { ask } from './kit/client.ts';
import { ANTHROPIC, DIALECTS, type DialectCase } from './kit/dialects.ts';
import { startReplica, type Exchange, type Script } from './kit/scripted-replica.ts';
import { poolOf, startGateway } from './kit/start-gateway.ts';
import { until } from './kit/until.ts';

const WORDS = ['Seven', ' feet'];

/** Sends the first `length` bytes of a stream and then no more: the connection closes, or the answer ends as if it were whole. */
const cutAt =
  (bytes: Buffer, length: number, how: 'close' | 'end'): Script =>
  (exchange: Exchange) => {
    exchange.head(200);
    exchange.chunk(bytes.subarray(0, length));
    if (how === 'end') exchange.last();
    else exchange.socket.end();
  };

const split = (text: string): string[] => text.split(/(?<=\n\n)/);

/** Whether an event is the one that the dialect's clients take as an error. */
function isErrorEvent(event: string, { path }: DialectCase): boolean {
  const data = JSON.parse(event.slice(event.indexOf('data: ') + 6)) as { type?: string; error?: unknown; message?: unknown };
  if (path === '/v1/chat/completions') return event.startsWith('data: ') && typeof data.error === 'object';
  if (!event.startsWith('event: error\n') || data.type !== 'error') return false;
  return path === '/v1/responses' ? typeof data.message === 'string' : typeof data.error === 'object';
}

/** Every byte of every dialect; both ways of breaking for the first, which way changes from byte to byte for the others. */
const CUTS = DIALECTS.flatMap((dialect) => {
  const both = dialect === ANTHROPIC;
  return (both ? ([0, 1] as const) : ([0] as const)).map((shift) => ({ ...dialect, shift }));
});

test.each(CUTS)(
  '$name: a stream that breaks at any byte ends in one typed error event after whole events, or in one clean error ($shift)',
  async (dialect) => {
    const replica = await startReplica();
    const rest = { attempts: { max: 1 }, bounds: { replica_connections: 64 } };
    const gateway = await startGateway({ config: poolOf([replica], { ...dialect.pool, upstreamModel: 'harbor-1', rest }) });
    const events = dialect.events(WORDS, 'harbor-1');
    const bytes = Buffer.from(events.join(''));
    const body = dialect.request({ stream: true, stream_options: { include_usage: true } });
    const howAt = (length: number): 'close' | 'end' => (length % 2 === dialect.shift ? 'close' : 'end');
    const isWholeAt = (length: number): boolean => {
      if (length === bytes.length) return true;
      // A chat stream that said why it stopped is whole without its [DONE]; one whose connection broke is not.
      return howAt(length) === 'end' && bytes.subarray(0, length).includes('"finish_reason":"stop"}]}\n\n');
    };
    for (let length = 0; length <= bytes.length; length++) {
      replica.answer(cutAt(bytes, length, howAt(length)));
      const { status, body: answer, isComplete } = await ask(gateway.port, { path: dialect.path, key: gateway.key, body });
      const at = `cut at byte ${length}: ${answer.toString().slice(-300)}`;
      expect(isComplete, at).toBe(true);
      const record = gateway.records.at(-1)!;
      if (status !== 200) {
        expect(status, at).toBe(502);
        expect(JSON.parse(answer.toString()), at).toHaveProperty('error');
        expect(record, at).toMatchObject({ outcome: 'failed', attempts: [{ outcome: 'failed_before_answer' }] });
        continue;
      }
      const got = split(answer.toString());
      const last = isWholeAt(length) ? null : got.pop()!;
      expect(got, at).toEqual(events.slice(0, got.length));
      if (last === null) expect(record, at).toMatchObject({ outcome: 'answered', code: null });
      else {
        expect(isErrorEvent(last, dialect), at).toBe(true);
        expect(record, at).toMatchObject({
          outcome: 'broken',
          code: 'upstream_broken',
          attempts: [{ outcome: 'broken_after_content' }],
        });
      }
    }
    expect(gateway.records).toHaveLength(bytes.length + 1);
  },
);

test("a replica's own error event after content is the last thing the client gets, whatever follows it", async () => {
  for (const dialect of DIALECTS) {
    const events = dialect.events(WORDS, 'harbor-1');
    const error =
      dialect.path === '/v1/chat/completions'
        ? 'data: {"error":{"message":"cuda","type":"server_error","code":500}}\n\n'
        : 'event: error\ndata: {"type":"error","code":"server_error","message":"cuda","error":{"type":"api_error","message":"cuda"}}\n\n';
    const cut = events.findIndex((event) => event.includes('Seven')) + 1;
    const before = events.slice(0, cut).join('');
    const after = events.slice(cut).join('');
    const replica = await startReplica((exchange) => exchange.events(before + error + after));
    const gateway = await startGateway({ config: poolOf([replica], { ...dialect.pool, upstreamModel: 'harbor-1' }) });
    const body = dialect.request({ stream: true, stream_options: { include_usage: true } });
    const received = await ask(gateway.port, { path: dialect.path, key: gateway.key, body });
    expect(received.body.toString()).toBe(before + error);
    expect(gateway.records).toMatchObject([{ outcome: 'broken', code: 'upstream_broken' }]);
  }
});

test.each(DIALECTS)(
  '$name: a failure before content, at any byte, moves to another replica and the client never knows',
  async (dialect) => {
    const events = dialect.events(WORDS, 'harbor-1');
    const bytes = Buffer.from(events.join(''));
    const firstContent = bytes.indexOf('Seven');
    let failing: Script = () => {};
    const replicas = [
      await startReplica((exchange) => failing(exchange)),
      await startReplica((exchange) => exchange.events(bytes)),
    ];
    const rest = { attempts: { budget_ratio: 1, budget_floor_per_second: 1000 } };
    const gateway = await startGateway({ config: poolOf(replicas, { ...dialect.pool, upstreamModel: 'harbor-1', rest }) });
    const body = dialect.request({ stream: true, stream_options: { include_usage: true } });
    for (let length = 0; length < firstContent; length += 3) {
      failing = length % 2 === 0 ? cutAt(bytes, length, 'close') : cutAt(bytes, length, 'end');
      const received = await ask(gateway.port, { path: dialect.path, key: gateway.key, body });
      expect(received.status, `cut at byte ${length}`).toBe(200);
      expect(received.body.equals(bytes), `cut at byte ${length}`).toBe(true);
      const { outcome, attempts } = gateway.records.at(-1)!;
      expect(outcome).toBe('answered');
      expect(attempts.map((attempt) => attempt.outcome)).toEqual(
        attempts.length === 2 ? ['failed_before_answer', 'answered'] : ['answered'],
      );
    }
    expect(gateway.records.some(({ attempts }) => attempts.length === 2)).toBe(true);
  },
);

test('every kind of failure before content moves on: refused, reset, busy, silent, an error event', async () => {
  const error = 'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n';
  const failures: readonly Script[] = [
    (exchange) => exchange.reset(),
    (exchange) => exchange.respond(500, ''),
    (exchange) => exchange.respond(401, ''),
    (exchange) => exchange.respond(529, ''),
    (exchange) => exchange.events(error),
    (exchange) => exchange.events(ANTHROPIC.events([]).slice(0, 2).join('') + error),
    () => {},
  ];
  for (const failure of failures) {
    const replicas = [
      await startReplica(failure),
      await startReplica((exchange) => exchange.events(ANTHROPIC.events(WORDS).join(''))),
    ];
    const rest = { timeouts: { first_token_ms: 50 } };
    const gateway = await startGateway({ config: poolOf(replicas, { rest }) });
    const asking = { path: ANTHROPIC.path, key: gateway.key, body: ANTHROPIC.request({ stream: true }) };
    // Where placement begins is drawn: ask until it began with the replica that fails.
    for (let tries = 0; tries < 60 && replicas[0]!.exchanges.length === 0; tries++)
      expect((await ask(gateway.port, asking)).status).toBe(200);
    const moved = gateway.records.find(({ attempts }) => attempts.length === 2)!;
    expect(moved).toMatchObject({
      outcome: 'answered',
      tokens: { output: 2, estimated: false },
      attempts: [{ replica: 'eu-1' }, { replica: 'eu-2', outcome: 'answered' }],
    });
  }
});

test('tokens of an attempt that failed are not added to those of the attempt that answered', async () => {
  const half = ANTHROPIC.events(WORDS).slice(0, 3).join('');
  const replicas = [
    await startReplica((exchange) => {
      exchange.head(200);
      exchange.chunk(half);
      exchange.socket.end();
    }),
    await startReplica((exchange) => exchange.events(ANTHROPIC.events(WORDS).join(''))),
  ];
  const gateway = await startGateway({ config: poolOf(replicas) });
  const asking = { path: ANTHROPIC.path, key: gateway.key, body: ANTHROPIC.request({ stream: true }) };
  for (let tries = 0; tries < 60 && replicas[0]!.exchanges.length === 0; tries++) await ask(gateway.port, asking);
  for (const record of gateway.records)
    expect(record.tokens).toEqual({ input: 21, cacheRead: 4, cacheWrite: 0, output: 2, estimated: false });
  await until(() => gateway.records.some(({ attempts }) => attempts.length === 2), 'a request moved on');
});
