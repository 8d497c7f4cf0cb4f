import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as answers from './kit/answers.ts';
import { ask, type Received } from './kit/client.ts';
import { ANTHROPIC, CHAT, DIALECTS, type DialectCase } from './kit/dialects.ts';
import { startReplica, type ScriptedReplica } from './kit/scripted-replica.ts';
import { poolOf, startGateway, type TestGateway } from './kit/start-gateway.ts';

const WORDS = ['Seven', ' feet', ' – in the „summer“ ', '🚢', ' line.'];

const upstreamName = (text: string): string => text.replaceAll('harbor-1', 'org/harbor-70b');

async function start(
  dialect: Pick<DialectCase, 'pool'>,
  more: { readonly upstreamModel?: string } = {},
): Promise<{ gateway: TestGateway; replica: ScriptedReplica; send: Send }> {
  const replica = await startReplica();
  const gateway = await startGateway({ config: poolOf([replica], { ...dialect.pool, ...more }) });
  const send: Send = (path, body, headers = {}) => ask(gateway.port, { path, key: gateway.key, body, headers });
  return { gateway, replica, send };
}
type Send = (path: string, body: unknown, headers?: Readonly<Record<string, string | string[]>>) => Promise<Received>;

test.each(DIALECTS)('$name: a request reaches the replica byte for byte, but for the name of the model', async (dialect) => {
  const { replica, send } = await start(dialect);
  replica.answer((exchange) => exchange.respond(200, dialect.answer('Aye.')));
  const written = JSON.stringify(dialect.request({ not_in_any_api_yet: { 'a"b': [1e3, -0.0, 'ü\u2028'] }, stream: false }));
  // White space, escapes, numbers and order as no serializer would write them.
  const odd = written.replace('{"model":"harbor-1",', '{ "\\u0061":1.0E+2 ,\n\t"model" : "harbor-1","max_\\u0074okenz":1,');
  expect(odd).not.toBe(written);
  expect((await send(dialect.path, odd)).status).toBe(200);
  expect(replica.exchanges[0]!.body.toString()).toBe(upstreamName(odd));
});

test.each(DIALECTS)('$name: a whole answer reaches the client byte for byte, but for the name of the model', async (dialect) => {
  const { replica, send } = await start(dialect);
  const answer = dialect.answer('Seven feet.').replace('{', '{ "unheard_of" : [ 1.50, {"model":"org/harbor-70b"} ],\n ');
  replica.answer((exchange) => exchange.respond(200, answer));
  const received = await send(dialect.path, dialect.request());
  const expected = answer.replace(/"model":"org\/harbor-70b"(?!\})/, '"model":"harbor-1"');
  expect(received.body.toString()).toBe(expected);
  expect(received.headers['content-type']).toBe('application/json');
});

test.each(DIALECTS)(
  '$name: a stream split anywhere reaches the client byte for byte, but for the name of the model',
  async (dialect) => {
    const { replica, send, gateway } = await start(dialect);
    const asked = dialect.request({ stream: true, stream_options: { include_usage: true } });
    const bytes = Buffer.from(`: a comment\n\n${dialect.events(WORDS).join('')}`);
    const expected = bytes.toString().replaceAll('org/harbor-70b', 'harbor-1');
    const splits = fc.array(fc.integer({ min: 1, max: bytes.length - 1 }), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(splits, fc.boolean(), async (cuts, isSlow) => {
        replica.answer(async (exchange) => {
          exchange.head(200);
          let from = 0;
          for (const cut of [...cuts].sort((a, b) => a - b).concat(bytes.length)) {
            exchange.chunk(bytes.subarray(from, cut));
            from = cut;
            if (isSlow) await new Promise((resolve) => setImmediate(resolve));
          }
          exchange.last();
        });
        const received = await send(dialect.path, asked);
        expect(received.body.toString()).toBe(expected);
        expect(received.isComplete).toBe(true);
      }),
      { numRuns: 40 },
    );
    for (const record of gateway.records)
      expect(record).toMatchObject({ outcome: 'answered', tokens: { output: WORDS.length, estimated: false } });
  },
);

test('a stream of single bytes passes unchanged', async () => {
  for (const dialect of DIALECTS) {
    const { replica, send } = await start(dialect, { upstreamModel: 'harbor-1' });
    const bytes = Buffer.from(dialect.events(['Aye', '.'], 'harbor-1').join(''));
    replica.answer((exchange) => {
      exchange.head(200);
      for (const byte of bytes) exchange.chunk(Buffer.of(byte));
      exchange.last();
    });
    const received = await send(dialect.path, dialect.request({ stream: true, stream_options: { include_usage: true } }));
    expect(received.body.equals(bytes)).toBe(true);
  }
});

test('a client that did not ask for usage gets no usage chunk, though the replica was asked for it and the record has it', async () => {
  const { gateway, replica, send } = await start(CHAT);
  const chunks = answers.chatChunks(WORDS);
  replica.answer((exchange) => exchange.events(chunks.join('')));
  for (const [body, sent] of [
    [
      '{"model":"harbor-1","messages":[],"stream":true}',
      '{"model":"org/harbor-70b","messages":[],"stream":true,"stream_options":{"include_usage":true}}',
    ],
    [
      '{"stream_options":null,"stream":true,"messages":[],"model":"harbor-1" } ',
      '{"stream_options":{"include_usage":true},"stream":true,"messages":[],"model":"org/harbor-70b" } ',
    ],
    [
      '{"model":"harbor-1","stream_options":{"include_usage":false,"include_obfuscation":false},"messages":[],"stream":true}',
      '{"model":"org/harbor-70b","stream_options":{"include_usage":true,"include_obfuscation":false},"messages":[],"stream":true}',
    ],
  ] as const) {
    const received = await send(answers.CHAT, body);
    expect(replica.exchanges.at(-1)!.body.toString()).toBe(sent);
    const expected = chunks.filter((chunk) => !chunk.includes('"usage"')).join('');
    expect(received.body.toString()).toBe(expected.replaceAll('org/harbor-70b', 'harbor-1'));
    expect(gateway.records.at(-1)!.tokens).toMatchObject({ input: 21, output: WORDS.length, estimated: false });
  }
});

test('what Anthropic clients say of betas and versions reaches the replica as they said it', async () => {
  const { replica, send } = await start(ANTHROPIC);
  replica.answer((exchange) => exchange.respond(200, answers.messagesAnswer('Aye.')));
  await send('/v1/messages?beta=true', answers.messagesRequest(), {
    'anthropic-version': '2023-06-01',
    'anthropic-beta': 'fine-grained-tool-streaming-2025-05-14,Some_New.Thing;q=1',
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  });
  const exchange = replica.exchanges[0]!;
  expect(exchange.path).toBe('/v1/messages?beta=true');
  expect(exchange.header('anthropic-beta')).toBe('fine-grained-tool-streaming-2025-05-14,Some_New.Thing;q=1');
  expect(exchange.header('anthropic-version')).toBe('2023-06-01');
  expect(exchange.header('traceparent')).toBe('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01');
});

/** Headers by which a client gives itself away, or tries to choose where its request goes. */
const HOSTILE = {
  cookie: 'session=client-secret',
  authorization: 'Bearer client-secret',
  'proxy-authorization': 'Basic Y2xpZW50LXNlY3JldA==',
  'openai-organization': 'org-client-secret',
  'openai-project': 'proj-client-secret',
  'x-api-base': 'http://127.0.0.1:9/client-secret',
  'x-portkey-custom-host': 'http://127.0.0.1:9/client-secret',
  'x-upstream-url': 'http://127.0.0.1:9/client-secret',
  'x-forwarded-for': '203.0.113.9',
  'x-forwarded-host': 'client-secret.example',
  forwarded: 'for=203.0.113.9;host=client-secret.example',
  'x-session-id': 'client-secret-conversation',
  'x-stainless-arch': 'client-secret',
  'user-agent': 'client-secret/1.0',
  'idempotency-key': 'client-secret',
  referer: 'http://client-secret.example/',
  'accept-encoding': 'gzip, br',
};

test.each(DIALECTS)('$name: nothing of the client but the request itself reaches the replica', async (dialect) => {
  const { gateway, replica, send } = await start(dialect);
  replica.answer((exchange) => exchange.respond(200, dialect.answer('Aye.')));
  const path = `${dialect.path}?key=client-secret&api_base=http://127.0.0.1:9`;
  const received = await send(path, dialect.request({ api_base: 'http://127.0.0.1:9', base_url: 'http://127.0.0.1:9' }), HOSTILE);
  expect(received.status).toBe(200);
  const { headers, path: asked, header } = replica.exchanges[0]!;
  expect(asked).toBe(dialect.path);
  const text = headers.map(([name, value]) => `${name}: ${value}`).join('\n');
  expect(text).not.toContain('client-secret');
  expect(text).not.toContain(gateway.key);
  expect(text).not.toContain('203.0.113.9');
  expect(
    headers
      .map(([name]) => name)
      .filter((name) => name !== 'anthropic-version')
      .sort(),
  ).toEqual(
    [
      'accept',
      'accept-encoding',
      dialect.pool.dialect === 'openai' ? 'authorization' : 'x-api-key',
      'connection',
      'content-length',
      'content-type',
      'host',
    ].sort(),
  );
  expect(header('accept-encoding')).toBe('identity');
  expect(header(dialect.pool.dialect === 'openai' ? 'authorization' : 'x-api-key')).toContain('upstream-secret');
});

test.each(DIALECTS)("$name: nothing of the replica's account reaches the client", async (dialect) => {
  const { replica, send } = await start(dialect);
  const account = {
    'set-cookie': 'upstream=upstream-secret',
    'anthropic-organization-id': 'upstream-secret',
    'openai-organization': 'upstream-secret',
    'anthropic-ratelimit-requests-remaining': '3',
    'x-ratelimit-remaining-tokens': '3',
    'x-request-id': 'upstream-id',
    'request-id': 'upstream-id',
    server: 'upstream-secret',
    via: '1.1 upstream-secret',
    'cf-ray': 'upstream-secret',
  };
  replica.answer((exchange) => {
    if (exchange.body.includes('"stream":true')) {
      exchange.head(200, account);
      exchange.chunk(dialect.events(['Aye.']).join(''));
      exchange.last();
    } else if (exchange.body.includes('refuse me'))
      exchange.respond(400, '{"type":"error","error":{"type":"invalid_request_error","message":"no"}}', account);
    else exchange.respond(200, dialect.answer('Aye.'), account);
  });
  for (const body of [dialect.request(), dialect.request({ stream: true }), dialect.request({ user: 'refuse me' })]) {
    const { headers } = await send(dialect.path, body);
    const text = JSON.stringify(headers);
    expect(text).not.toContain('upstream');
    expect(text).not.toContain('ratelimit');
    expect(headers[dialect.pool.dialect === 'anthropic' ? 'request-id' : 'x-request-id']).toMatch(/^req_[0-9a-f]{24}$/);
  }
});

test("a replica's own error reaches the client unchanged when it is the caller's doing", async () => {
  const { gateway, replica, send } = await start(ANTHROPIC);
  const error = '{"type":"error","error":{"type":"invalid_request_error","message":"messages.0: too short"},"extra":1}';
  replica.answer((exchange) => exchange.respond(400, error));
  const received = await send(answers.MESSAGES, answers.messagesRequest({ stream: true }));
  expect(received.status).toBe(400);
  expect(received.body.toString()).toBe(error);
  expect(gateway.records).toMatchObject([
    { outcome: 'refused_by_upstream', status: 400, attempts: [{ outcome: 'refused_by_upstream' }] },
  ]);
});

test('an error that is not of the dialect is put into its envelope: a proxy page is no answer', async () => {
  const { replica, send } = await start(ANTHROPIC);
  replica.answer((exchange) => exchange.respond(404, '<html>nginx on 10.0.0.7</html>', { 'content-type': 'text/html' }));
  const received = await send(answers.MESSAGES, answers.messagesRequest());
  expect(received.status).toBe(404);
  expect(JSON.parse(received.body.toString())).toMatchObject({ type: 'error', error: { type: 'not_found_error' } });
  expect(received.body.toString()).not.toContain('10.0.0.7');
});

test.each(DIALECTS)('$name: nothing follows the last event of an answer, however the replica goes on', async (dialect) => {
  const { replica, send } = await start(dialect, { upstreamModel: 'harbor-1' });
  const events = dialect.events(['Aye', '.'], 'harbor-1').join('');
  const tail = dialect.events(['again'], 'harbor-1').join('');
  const asked = dialect.request({ stream: true, stream_options: { include_usage: true } });
  replica.answer((exchange) => exchange.events(events + tail)); // in one piece
  expect((await send(dialect.path, asked)).body.toString()).toBe(events);
  replica.answer(async (exchange) => {
    exchange.head(200);
    exchange.chunk(events);
    await new Promise((resolve) => setImmediate(resolve));
    exchange.chunk(tail);
    exchange.last();
  });
  expect((await send(dialect.path, asked)).body.toString()).toBe(events);
});
