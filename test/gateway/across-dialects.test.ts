import { monitorEventLoopDelay } from 'node:perf_hooks';
import { expect, test } from 'vitest';
import type { AnswerEvent } from '#contracts/answer';
import { anthropicCodec, openaiChatCodec } from '#dialects';
import { ask, open } from './kit/client.ts';
import { ANTHROPIC, CHAT, RESPONSES, type DialectCase } from './kit/dialects.ts';
import { startReplica, type Script } from './kit/scripted-replica.ts';
import { poolOf, startGateway } from './kit/start-gateway.ts';
import { until } from './kit/until.ts';

const WORDS = ['Seven', ' feet', '.'];

interface Pair {
  readonly name: string;
  readonly client: DialectCase;
  readonly engine: DialectCase;
}

const PAIRS: readonly Pair[] = [
  [ANTHROPIC, CHAT] as const,
  [CHAT, ANTHROPIC] as const,
  [RESPONSES, ANTHROPIC] as const,
  [RESPONSES, CHAT] as const,
].map(([client, engine]) => ({ name: `${client.name} to ${engine.name}`, client, engine }));

async function start({ engine }: Pair, script: Script) {
  const replica = await startReplica(script);
  const gateway = await startGateway({ config: poolOf([replica], { dialect: engine.pool.dialect }) });
  return { replica, gateway };
}

type Fields = Readonly<Record<string, any>>; // oxlint-disable-line typescript/no-explicit-any -- what came over the wire, looked into freely

const eventsOf = (text: string): Fields[] =>
  text
    .split('\n\n')
    .map((event) => event.slice(event.indexOf('data: ') + 6))
    .filter((data) => data.startsWith('{'))
    .map((data) => JSON.parse(data) as Fields);

/** The text of a stream as a client of each dialect puts it together. */
function textOf({ path }: DialectCase, text: string): string {
  const events = eventsOf(text);
  if (path === CHAT.path) return events.map((event) => event['choices']?.[0]?.delta?.content ?? '').join('');
  if (path === RESPONSES.path)
    return events.map((event) => (event['type'] === 'response.output_text.delta' ? event['delta'] : '')).join('');
  return events.map((event) => event['delta']?.text ?? '').join('');
}

/** Name and arguments of each tool call of a stream. */
function callsOf({ path }: DialectCase, text: string): { name: string; arguments: unknown }[] {
  const calls = new Map<unknown, { name: string; json: string }>();
  const begin = (key: unknown, name: string): void => void calls.set(key, { name, json: '' });
  const add = (key: unknown, json: string): void => {
    const call = calls.get(key);
    if (call) call.json += json;
  };
  for (const event of eventsOf(text)) {
    if (path === CHAT.path) {
      for (const call of event['choices']?.[0]?.delta?.tool_calls ?? []) {
        if (call.function?.name) begin(call.index, call.function.name);
        add(call.index, call.function?.arguments ?? '');
      }
    } else if (path === RESPONSES.path) {
      if (event['type'] === 'response.output_item.added' && event['item'].type === 'function_call')
        begin(event['output_index'], event['item'].name);
      if (event['type'] === 'response.function_call_arguments.delta') add(event['output_index'], event['delta']);
    } else {
      if (event['content_block']?.type === 'tool_use') begin(event['index'], event['content_block'].name);
      if (event['delta']?.type === 'input_json_delta') add(event['index'], event['delta'].partial_json);
    }
  }
  return [...calls.values()].map(({ name, json }) => ({ name, arguments: JSON.parse(json) as unknown }));
}

const TOOLS: readonly AnswerEvent[] = [
  { kind: 'start', id: 'msg_tools', model: 'org/harbor-70b', usage: { input: 21 } },
  { kind: 'block_start', index: 0, block: { kind: 'text' } },
  { kind: 'delta', index: 0, delta: { kind: 'text', text: 'A moment.' } },
  { kind: 'block_end', index: 0 },
  { kind: 'block_start', index: 1, block: { kind: 'tool_call', id: 'toolu_1', name: 'tide' } },
  { kind: 'delta', index: 1, delta: { kind: 'arguments', json: '{"port":' } },
  { kind: 'delta', index: 1, delta: { kind: 'arguments', json: '"Łódź \\"Ω\\""}' } },
  { kind: 'block_end', index: 1 },
  { kind: 'block_start', index: 2, block: { kind: 'tool_call', id: 'toolu_2', name: 'depth' } },
  { kind: 'delta', index: 2, delta: { kind: 'arguments', json: '{"unit":"feet"}' } },
  { kind: 'block_end', index: 2 },
  { kind: 'usage', usage: { input: 21, output: 9 } },
  { kind: 'stop', reason: 'tool_use' },
  { kind: 'end' },
];

function write({ path }: DialectCase, events: readonly AnswerEvent[]): string {
  const codec = path === CHAT.path ? openaiChatCodec : anthropicCodec;
  const writer = codec.createEventWriter({ model: 'org/harbor-70b', includeUsage: true, createdAtS: 1_760_000_000 });
  return events.map((event) => writer.write(event)).join('');
}

test.each(PAIRS)('$name: a whole answer', async (pair) => {
  const { replica, gateway } = await start(pair, (exchange) => exchange.respond(200, pair.engine.answer('Seven feet.')));
  const received = await ask(gateway.port, { path: pair.client.path, key: gateway.key, body: pair.client.request() });
  expect(received.status).toBe(200);
  const answer = JSON.parse(received.body.toString()) as Fields;
  expect(answer['model']).toBe('harbor-1');
  expect(received.body.toString()).toContain('Seven feet.');
  expect(received.body.toString()).not.toContain('org/harbor-70b');
  const exchange = replica.exchanges[0]!;
  expect(exchange.path).toBe(pair.engine.path);
  expect(JSON.parse(exchange.body.toString())).toMatchObject({ model: 'org/harbor-70b' });
  expect(exchange.body.toString()).toContain('How deep may she lie?');
  expect(gateway.records).toMatchObject([{ outcome: 'answered', tokens: { input: 21, output: 7, estimated: false } }]);
});

test.each(PAIRS)('$name: a stream of text, in pieces of any size', async (pair) => {
  const bytes = Buffer.from(pair.engine.events(WORDS).join(''));
  for (const size of [1, 7, 1_000_000]) {
    const { gateway } = await start(pair, (exchange) => {
      exchange.head(200);
      for (let at = 0; at < bytes.length; at += size) exchange.chunk(bytes.subarray(at, at + size));
      exchange.last();
    });
    const received = await ask(gateway.port, {
      path: pair.client.path,
      key: gateway.key,
      body: pair.client.request({ stream: true }),
    });
    const text = received.body.toString();
    expect(textOf(pair.client, text)).toBe('Seven feet.');
    expect(text).not.toContain('org/harbor-70b');
    if (pair.client === CHAT) expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
    else expect(text).toContain(pair.client === ANTHROPIC ? 'event: message_stop\n' : 'event: response.completed\n');
    expect(gateway.records).toMatchObject([{ outcome: 'answered', tokens: { input: 21, output: 3, estimated: false } }]);
  }
});

test.each(PAIRS)('$name: a stream of tool calls, their arguments whole', async (pair) => {
  const { gateway } = await start(pair, (exchange) => exchange.events(write(pair.engine, TOOLS)));
  const received = await ask(gateway.port, {
    path: pair.client.path,
    key: gateway.key,
    body: pair.client.request({ stream: true }),
  });
  expect(callsOf(pair.client, received.body.toString())).toEqual([
    { name: 'tide', arguments: { port: 'Łódź "Ω"' } },
    { name: 'depth', arguments: { unit: 'feet' } },
  ]);
});

test.each(PAIRS)("$name: errors come in the client's envelope, with their status", async (pair) => {
  const anthropic = '{"type":"error","error":{"type":"invalid_request_error","message":"too long"},"request_id":"req_upstream"}';
  const openai = '{"error":{"message":"too long","type":"invalid_request_error","param":null,"code":null}}';
  const { gateway } = await start(pair, (exchange) => exchange.respond(400, pair.engine === ANTHROPIC ? anthropic : openai));
  const received = await ask(gateway.port, {
    path: pair.client.path,
    key: gateway.key,
    body: pair.client.request({ stream: true }),
  });
  expect(received.status).toBe(400);
  const error = JSON.parse(received.body.toString()) as Fields;
  expect(error['error']).toMatchObject({ type: 'invalid_request_error', message: 'too long' });
  expect(error['type']).toBe(pair.client === ANTHROPIC ? 'error' : undefined);
  expect(received.body.toString()).not.toContain('req_upstream');
});

test.each(PAIRS)("$name: a stream that breaks at any event ends in one error event of the client's dialect", async (pair) => {
  const events = pair.engine.events(WORDS);
  const firstContent = events.findIndex((event) => event.includes('Seven'));
  for (let count = firstContent + 1; count < events.length - 1; count++) {
    for (const how of ['close', 'end'] as const) {
      const sent = events.slice(0, count).join('');
      // A chat stream that said why it stopped is whole, if its bytes end as they should.
      if (how === 'end' && sent.includes('"finish_reason":"stop"')) continue;
      const { gateway } = await start(pair, (exchange) => {
        exchange.head(200);
        exchange.chunk(sent);
        if (how === 'end') exchange.last();
        else exchange.socket.end();
      });
      const received = await ask(gateway.port, {
        path: pair.client.path,
        key: gateway.key,
        body: pair.client.request({ stream: true }),
      });
      const text = received.body.toString();
      const at = `${how} after ${count} events: ${text.slice(-400)}`;
      expect(received.isComplete, at).toBe(true);
      const all = eventsOf(text);
      const isError = (event: Fields): boolean =>
        event['type'] === 'error' ||
        (typeof event['error'] === 'object' && event['error'] !== null) ||
        event['type'] === 'response.failed';
      expect(all.filter(isError), at).toHaveLength(1);
      expect(isError(all.at(-1)!), at).toBe(true);
      expect(text, at).not.toMatch(/\[DONE\]|message_stop|response\.completed/);
      expect(gateway.records, at).toMatchObject([{ outcome: 'broken', code: 'upstream_broken' }]);
    }
  }
});

test('an engine that leaves out [DONE] has still said why it stopped, and the client gets the end of its dialect', async () => {
  const pair = PAIRS[0]!;
  const { gateway } = await start(pair, (exchange) => exchange.events(pair.engine.events(WORDS).slice(0, -1).join('')));
  const received = await ask(gateway.port, {
    path: pair.client.path,
    key: gateway.key,
    body: pair.client.request({ stream: true }),
  });
  expect(received.body.toString()).toContain('event: message_stop\n');
  expect(received.body.toString()).not.toContain('event: error');
  expect(gateway.records).toMatchObject([{ outcome: 'answered', stopReason: 'end_turn' }]);
});

test('what the engine cannot say is a 400 that names the field, and no replica hears of it', async () => {
  for (const [pair, more] of [
    [PAIRS[0]!, { tools: [{ type: 'web_search_20250305', name: 'web_search' }] }],
    [PAIRS[1]!, { n: 3 }],
    [PAIRS[2]!, { background: true }],
    [PAIRS[3]!, { previous_response_id: 'resp_0' }],
  ] as const) {
    const { gateway, replica } = await start(pair, () => {});
    const received = await ask(gateway.port, { path: pair.client.path, key: gateway.key, body: pair.client.request(more) });
    expect(received.status, received.body.toString()).toBe(400);
    expect(received.body.toString()).toContain(Object.keys(more)[0]!);
    expect(replica.exchanges).toHaveLength(0);
    expect(gateway.records).toMatchObject([{ outcome: 'refused', status: 400, attempts: [] }]);
  }
});

test('a body of a megabyte is translated beside the event loop, and one of a client that leaves is not sent', async () => {
  const pair = PAIRS[0]!;
  const { gateway, replica } = await start(pair, (exchange) => exchange.respond(200, pair.engine.answer('Aye.')));
  const turn = { role: 'user', content: [{ type: 'text', text: 'How deep may she lie? '.repeat(8) }] };
  const messages = Array.from({ length: 5_000 }, (_, index) => (index % 2 === 0 ? turn : { ...turn, role: 'assistant' }));
  const asking = { path: pair.client.path, key: gateway.key, body: JSON.stringify(pair.client.request({ messages })) };
  expect(asking.body.length).toBeGreaterThan(1_000_000);
  expect((await ask(gateway.port, asking)).status).toBe(200); // the thread has started
  const delay = monitorEventLoopDelay({ resolution: 2 });
  delay.enable();
  expect((await ask(gateway.port, asking)).status).toBe(200);
  delay.disable();
  expect(delay.max / 1e6).toBeLessThan(100);
  expect(replica.exchanges).toHaveLength(2);
  const leaving = open(gateway.port, asking);
  const before = gateway.records.length;
  // It leaves as soon as its body has been taken in, which is when the thread has it.
  await until(() => /plimsoll_open_requests 1/.test(gateway.metrics()), 'it is admitted');
  leaving.leave();
  await until(() => gateway.records.length > before, 'it is recorded');
  expect(gateway.records.at(-1)).toMatchObject({ outcome: 'client_gone', attempts: [] });
  expect(replica.exchanges).toHaveLength(2);
});

test('the rules of a version about what stands inside messages are looked for in a large body beside the event loop', async () => {
  const { path, answer } = ANTHROPIC;
  const replica = await startReplica((exchange) => exchange.respond(200, answer('Aye.')));
  const gateway = await startGateway({ config: poolOf([replica], { dialect: 'anthropic' }) });
  const large = (extra: object) => ({
    ...(ANTHROPIC.request({}) as object),
    messages: [
      {
        role: 'user',
        content: [{ type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'x'.repeat(8_000_000) } }],
      },
      { role: 'assistant', content: 'Aye.' },
      { role: 'user', content: [{ type: 'text', text: 'And this?', ...extra }] },
    ],
  });
  const send = (extra: object, version: string) =>
    ask(gateway.port, { path, key: gateway.key, body: large(extra), headers: { 'anthropic-version': version } });
  const cited = { citations: [{ type: 'char_location' }] };
  expect((await send({}, '2026-10-21')).status).toBe(200);
  const refusal = await send(cited, '2026-10-21');
  expect([refusal.status, JSON.parse(refusal.body.toString()).error.message]).toEqual([
    400,
    expect.stringMatching(/^messages\.2\.content\.0/),
  ]);
  expect((await send(cited, '2023-06-01')).status).toBe(200);
  expect(replica.exchanges).toHaveLength(2);
  expect(gateway.records.map(({ outcome }) => outcome)).toEqual(['answered', 'refused', 'answered']);
});

test('a client across dialects that leaves is felt at the replica within 100 ms', async () => {
  for (const pair of PAIRS) {
    const { gateway, replica } = await start(pair, (exchange) => {
      exchange.head(200);
      exchange.chunk(pair.engine.events(WORDS).slice(0, -4).join(''));
    });
    const request = open(gateway.port, { path: pair.client.path, key: gateway.key, body: pair.client.request({ stream: true }) });
    await until(() => request.received().body.includes('Seven'), 'the stream runs');
    const leftAt = request.leave();
    await until(() => replica.exchanges[0]!.closedAt !== null, 'the replica is told');
    expect(replica.exchanges[0]!.closedAt! - leftAt).toBeLessThan(100);
    await until(() => gateway.records.length === 1, 'it is recorded');
    expect(gateway.records[0]).toMatchObject({ outcome: 'client_gone', tokens: { estimated: true } });
  }
});
