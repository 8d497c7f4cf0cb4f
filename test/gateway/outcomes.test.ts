import { createServer, type AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { UsageRecord } from '#contracts/record';
import * as answers from './kit/answers.ts';
import { ask, connectRaw, open } from './kit/client.ts';
import { startReplica, type Script } from './kit/scripted-replica.ts';
import { poolOf, startGateway, type ConfigInput, type TestGateway } from './kit/start-gateway.ts';
import { until } from './kit/until.ts';

const WORDS = ['Seven', ' feet', '.'];
const STREAM = answers.messagesEvents(WORDS);
const beforeContent = STREAM.slice(0, 3).join('');
const upToSecondWord = STREAM.slice(0, 5).join('');

/** One record, at rest in the journal's files, and nothing left open. */
async function theRecord(gateway: TestGateway): Promise<UsageRecord> {
  await until(() => gateway.records.length > 0, 'the request is recorded');
  expect(gateway.records).toHaveLength(1);
  expect(await gateway.journaled()).toEqual(gateway.records);
  expect(gateway.metrics()).toContain('plimsoll_open_requests 0');
  return gateway.records[0]!;
}

interface Failure {
  readonly name: string;
  readonly script: Script;
  readonly isStream?: boolean;
  readonly timeouts?: ConfigInput['timeouts'];
  readonly bounds?: ConfigInput['bounds'];
  readonly status: number;
  readonly code: string;
  readonly attempt: string;
  readonly retry?: string;
}

const FAILURES: readonly Failure[] = [
  {
    name: 'a replica that is rate limited',
    script: (exchange) => exchange.respond(429, '{}', { 'retry-after': '7' }),
    status: 529,
    code: 'upstream_busy',
    attempt: 'backpressure',
    retry: '7',
  },
  {
    name: 'a replica that is overloaded',
    script: (exchange) => exchange.respond(529, '{}', { 'retry-after-ms': '1500' }),
    status: 529,
    code: 'upstream_busy',
    attempt: 'backpressure',
    retry: '2',
  },
  {
    name: "a replica that refuses the gateway's own key",
    script: (exchange) => exchange.respond(401, '{"error":{"message":"bad key upstream-secret"}}'),
    status: 502,
    code: 'upstream_rejected',
    attempt: 'failed_before_answer',
  },
  {
    name: 'a replica that fails',
    script: (exchange) => exchange.respond(500, 'oops'),
    status: 502,
    code: 'upstream_broken',
    attempt: 'failed_before_answer',
  },
  {
    name: 'a replica that sends the client elsewhere',
    script: (exchange) => exchange.respond(307, '', { location: 'http://127.0.0.1:9/' }),
    status: 502,
    code: 'upstream_broken',
    attempt: 'failed_before_answer',
  },
  {
    name: 'a reset before the head',
    script: (exchange) => exchange.reset(),
    status: 502,
    code: 'upstream_broken',
    attempt: 'failed_before_answer',
  },
  {
    name: 'a close before the head',
    script: (exchange) => void exchange.socket.end(),
    status: 502,
    code: 'upstream_broken',
    attempt: 'failed_before_answer',
  },
  {
    name: 'an answer that is not HTTP',
    script: (exchange) => void exchange.write('SSH-2.0-OpenSSH\r\n\r\n'),
    status: 502,
    code: 'upstream_broken',
    attempt: 'failed_before_answer',
  },
  {
    name: 'a whole answer that is not JSON',
    script: (exchange) => exchange.respond(200, '{"model":'),
    status: 502,
    code: 'upstream_broken',
    attempt: 'failed_before_answer',
  },
  {
    name: 'a whole answer that breaks half way',
    script(exchange) {
      exchange.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{"model":"x"}');
      exchange.socket.end();
    },
    status: 502,
    code: 'upstream_broken',
    attempt: 'failed_before_answer',
  },
  {
    name: 'events where a whole answer was asked for',
    script: (exchange) => exchange.events(STREAM.join('')),
    status: 502,
    code: 'upstream_broken',
    attempt: 'failed_before_answer',
  },
  {
    name: 'a whole answer where events were asked for',
    isStream: true,
    script: (exchange) => exchange.respond(200, answers.messagesAnswer('Aye.')),
    status: 502,
    code: 'upstream_broken',
    attempt: 'failed_before_answer',
  },
  {
    name: 'a compressed answer, which was not asked for',
    script: (exchange) => exchange.respond(200, answers.messagesAnswer('Aye.'), { 'content-encoding': 'gzip' }),
    status: 502,
    code: 'upstream_broken',
    attempt: 'failed_before_answer',
  },
  {
    name: 'a stream without a single event',
    isStream: true,
    script: (exchange) => exchange.events(''),
    status: 502,
    code: 'upstream_broken',
    attempt: 'failed_before_answer',
  },
  {
    name: 'a stream that ends before content',
    isStream: true,
    script: (exchange) => exchange.events(beforeContent),
    status: 502,
    code: 'upstream_broken',
    attempt: 'failed_before_answer',
  },
  {
    name: 'overload said after the 200 and before content',
    isStream: true,
    script: (exchange) =>
      exchange.events(
        `${beforeContent}event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n`,
      ),
    status: 529,
    code: 'upstream_busy',
    attempt: 'backpressure',
    retry: '1',
  },
  {
    name: 'an error said after the 200 and before content',
    isStream: true,
    script: (exchange) =>
      exchange.events('event: error\ndata: {"type":"error","error":{"type":"api_error","message":"cuda"}}\n\n'),
    status: 502,
    code: 'upstream_broken',
    attempt: 'failed_before_answer',
  },
  {
    name: 'a stream that never begins',
    isStream: true,
    script(exchange) {
      exchange.head(200);
      exchange.chunk(beforeContent);
    },
    timeouts: { first_token_ms: 40 },
    status: 504,
    code: 'upstream_timeout',
    attempt: 'timed_out',
  },
  {
    name: 'a replica that never answers',
    script: () => {},
    timeouts: { total_ms: 40 },
    status: 504,
    code: 'deadline_exceeded',
    attempt: 'aborted',
  },
  {
    name: 'a whole answer beyond the bound',
    script: (exchange) => exchange.respond(200, answers.messagesAnswer('a'.repeat(5000))),
    bounds: { answer_bytes: 4096 },
    status: 502,
    code: 'upstream_broken',
    attempt: 'failed_before_answer',
  },
  {
    name: 'an event beyond the bound, before content',
    isStream: true,
    script: (exchange) => exchange.events(`data: ${'a'.repeat(5000)}`),
    bounds: { answer_bytes: 4096 },
    status: 502,
    code: 'upstream_broken',
    attempt: 'failed_before_answer',
  },
];

test.each(FAILURES)('$name is one clean error, one record and one outcome', async (failure) => {
  const replica = await startReplica(failure.script);
  const { timeouts, bounds } = failure;
  const gateway = await startGateway({
    config: poolOf([replica], { rest: { ...(timeouts && { timeouts }), ...(bounds && { bounds }) } }),
  });
  const received = await ask(gateway.port, {
    path: answers.MESSAGES,
    key: gateway.key,
    body: answers.messagesRequest({ stream: failure.isStream === true }),
  });
  expect(received.status).toBe(failure.status);
  expect(received.isComplete).toBe(true);
  expect(received.headers['content-type']).toBe('application/json');
  expect(received.headers['retry-after']).toBe(failure.retry);
  expect(JSON.parse(received.body.toString())).toMatchObject({
    type: 'error',
    error: {},
    request_id: received.headers['request-id'],
  });
  expect(received.body.toString()).not.toContain('upstream-secret');
  expect(await theRecord(gateway)).toMatchObject({
    outcome: 'failed',
    code: failure.code,
    status: failure.status,
    attempts: [{ replica: 'eu-1', outcome: failure.attempt }],
  });
});

test('a replica that is not there is tried nowhere else when there is nowhere else', async () => {
  const gone = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => gone.once('listening', resolve));
  const url = `http://127.0.0.1:${(gone.address() as AddressInfo).port}`;
  await new Promise((resolve) => gone.close(resolve));
  const gateway = await startGateway({ config: poolOf([{ url }]) });
  const received = await ask(gateway.port, { path: answers.MESSAGES, key: gateway.key, body: answers.messagesRequest() });
  expect(received.status).toBe(502);
  expect(await theRecord(gateway)).toMatchObject({
    outcome: 'failed',
    code: 'upstream_unreachable',
    attempts: [{ outcome: 'unreachable' }],
  });
});

test('a connection that is not made in time counts as unreachable', async () => {
  // It takes connections and never says a word, so a TLS handshake with it never ends.
  const silent = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  onTestFinished(() => void silent.close());
  await new Promise((resolve) => silent.once('listening', resolve));
  const url = `https://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const gateway = await startGateway({ config: poolOf([{ url }], { rest: { timeouts: { connect_ms: 50 } } }) });
  const received = await ask(gateway.port, { path: answers.MESSAGES, key: gateway.key, body: answers.messagesRequest() });
  expect(received.status).toBe(502);
  expect(await theRecord(gateway)).toMatchObject({ code: 'upstream_unreachable', attempts: [{ outcome: 'unreachable' }] });
});

test.each([
  ['silence between events', { idle_ms: 40 }, 'upstream_timeout', 'timed_out', 'timeout_error'],
  ['the total deadline', { total_ms: 60 }, 'deadline_exceeded', 'aborted', 'timeout_error'],
] as const)('%s ends a stream in one typed error event', async (_, timeouts, code, attempt, type) => {
  const replica = await startReplica((exchange) => {
    exchange.head(200);
    exchange.chunk(upToSecondWord);
  });
  const gateway = await startGateway({ config: poolOf([replica], { upstreamModel: 'harbor-1', rest: { timeouts } }) });
  const received = await ask(gateway.port, {
    path: answers.MESSAGES,
    key: gateway.key,
    body: answers.messagesRequest({ stream: true }),
  });
  expect(received).toMatchObject({ status: 200, isComplete: true });
  const text = received.body.toString();
  expect(text.startsWith(upToSecondWord)).toBe(true);
  const rest = text.slice(upToSecondWord.length);
  expect(rest).toMatch(/^event: error\ndata: \{.*\}\n\n$/);
  expect(JSON.parse(rest.slice(rest.indexOf('{')))).toMatchObject({ type: 'error', error: { type } });
  expect(await theRecord(gateway)).toMatchObject({
    outcome: 'broken',
    code,
    status: 200,
    attempts: [{ outcome: attempt }],
    tokens: { input: 21, cacheRead: 4, output: 2, estimated: true },
  });
  await until(() => replica.exchanges[0]!.closedAt !== null, 'the replica is told');
});

test('an answer is one record with what the engine counted, its stages and its price', async () => {
  const replica = await startReplica((exchange) => exchange.events(STREAM.join('')));
  const config = poolOf([replica]);
  const gateway = await startGateway({
    config: { ...config, models: [{ ...config.models![0]!, price: { input: 3_000_000, output: 15_000_000 } }] },
  });
  const body = JSON.stringify(answers.messagesRequest({ stream: true, metadata: { user_id: 'u-1' } }));
  const received = await ask(gateway.port, {
    path: answers.MESSAGES,
    key: gateway.key,
    body,
    headers: { 'x-session-id': 'voyage-1' },
  });
  const record = await theRecord(gateway);
  expect(record).toMatchObject({
    id: received.headers['request-id'],
    outcome: 'answered',
    status: 200,
    code: null,
    model: 'harbor-1',
    conversation: 'voyage-1',
    endUser: gateway.tenants.endUser('u-1'),
    streamed: true,
    stopReason: 'end_turn',
    tokens: { input: 21, cacheRead: 4, cacheWrite: 0, output: 3, estimated: false },
    requestBytes: body.length,
    responseBytes: received.body.length,
    attempts: [{ outcome: 'answered', status: 200 }],
    costMicroUsd: 3 * 21 + 15 * 3 + 3 * 4,
  });
  const { receive, attempt, stream } = record.stagesUs;
  for (const us of [receive, attempt, stream]) expect(us).toBeGreaterThanOrEqual(0);
});

const unreservable =
  (kind: 'full' | 'failed') => (journal: Parameters<NonNullable<Parameters<typeof startGateway>[0]['journal']>>[0]) => ({
    ...journal,
    reserve: () => kind,
  });

interface RefusalCase {
  readonly name: string;
  readonly send: Partial<{
    path: string;
    body: unknown;
    key: 'api' | 'admin' | 'wrong' | 'none';
    headers: Record<string, string>;
  }>;
  readonly rest?: ConfigInput;
  readonly status: number;
  readonly code: string;
  /** Whether the caller was known by then: strangers write nothing to the disk. */
  readonly isRecorded?: false;
}

const REFUSED: readonly RefusalCase[] = [
  { name: 'no key', send: { key: 'none' }, status: 401, code: 'unauthenticated', isRecorded: false },
  { name: 'a wrong key', send: { key: 'wrong' }, status: 401, code: 'unauthenticated', isRecorded: false },
  { name: 'an admin key', send: { key: 'admin' }, status: 403, code: 'forbidden', isRecorded: false },
  { name: 'no version', send: { headers: { 'anthropic-version': '' } }, status: 400, code: 'invalid_request', isRecorded: false },
  {
    name: 'a compressed body',
    send: { headers: { 'content-encoding': 'gzip' } },
    status: 400,
    code: 'unsupported_encoding',
    isRecorded: false,
  },
  { name: 'a body that is not JSON', send: { body: '{"model":}' }, status: 400, code: 'invalid_request' },
  {
    name: 'a body that is not UTF-8',
    send: { body: Buffer.concat([Buffer.from('{"model":"'), Buffer.of(0xc3, 0x28), Buffer.from('"}')]) },
    status: 400,
    code: 'invalid_request',
  },
  { name: 'a body that is an array', send: { body: '[]' }, status: 400, code: 'invalid_request' },
  { name: 'an empty body', send: { body: '' }, status: 400, code: 'invalid_request' },
  {
    name: 'a key given twice',
    send: { body: '{"model":"harbor-1","max_tokens":1,"messages":[],"model":"other"}' },
    status: 400,
    code: 'invalid_request',
  },
  {
    name: 'a key given twice, once in disguise',
    send: { body: '{"model":"harbor-1","max_tokens":1,"messages":[],"m\\u006fdel":"other"}' },
    status: 400,
    code: 'invalid_request',
  },
  { name: 'no model', send: { body: '{"max_tokens":1,"messages":[]}' }, status: 400, code: 'invalid_request' },
  {
    name: 'two conversations',
    send: { headers: { 'x-session-id': 'a', 'x-claude-code-session-id': 'b' } },
    status: 400,
    code: 'conflicting_conversation',
  },
  {
    name: 'a model that is not served',
    send: { body: answers.messagesRequest({ model: 'nope' }) },
    status: 404,
    code: 'model_not_found',
  },
  {
    name: 'a body beyond the bound',
    send: { body: answers.messagesRequest({ pad: 'x'.repeat(3000) }) },
    rest: { bounds: { body_bytes: 2048 } },
    status: 413,
    code: 'request_too_large',
    isRecorded: false,
  },
  {
    name: 'memory for bodies that is spent',
    send: { body: answers.messagesRequest({ pad: 'x'.repeat(3000) }) },
    rest: { bounds: { bodies_bytes: 2048 } },
    status: 529,
    code: 'overloaded',
  },
];

test.each(REFUSED)(
  '$name is refused, before any replica hears of it',
  async ({ send, rest, status, code, isRecorded = true }) => {
    const replica = await startReplica();
    const gateway = await startGateway({ config: poolOf([replica], { rest: rest ?? {} }) });
    const key = { api: gateway.key, admin: gateway.adminKey, wrong: `${gateway.key}x`, none: undefined }[send.key ?? 'api'];
    const received = await ask(gateway.port, {
      path: answers.MESSAGES,
      ...(key !== undefined && { key }),
      body: send.body ?? answers.messagesRequest(),
      headers: send.headers ?? {},
    });
    expect(received.status).toBe(status);
    expect(JSON.parse(received.body.toString())).toMatchObject({ type: 'error' });
    expect(replica.exchanges).toHaveLength(0);
    if (isRecorded)
      expect(await theRecord(gateway)).toMatchObject({
        outcome: 'refused',
        code,
        status,
        attempts: [],
        tokens: { input: 0, output: 0, estimated: false },
      });
    else expect(gateway.records).toHaveLength(0);
    expect(gateway.metrics()).toMatch(/plimsoll_requests_total\{[^}]*outcome="refused"[^}]*\} 1/);
  },
);

test('paths and methods that are not served say so', async () => {
  const gateway = await startGateway({ config: {} });
  for (const [path, method, status] of [
    ['/v1/messages', 'GET', 405],
    ['/v1/chat/completions', 'PUT', 405],
    ['/v1/nothing', 'POST', 404],
    ['/v1/messages/', 'POST', 404],
    ['//v1/messages', 'POST', 404],
    ['/v1/models', 'DELETE', 405],
  ] as const) {
    const response = await fetch(gateway.url + path, { method, headers: { 'x-api-key': gateway.key } });
    expect([path, method, response.status]).toEqual([path, method, status]);
    expect(await response.json()).toMatchObject({ type: 'error' });
  }
});

test('limits refuse with the time to come back, and what they refuse is recorded', async () => {
  const replica = await startReplica();
  const gateway = await startGateway({ config: poolOf([replica], { rest: { limits: { defaults: { concurrency: 1 } } } }) });
  const asking = { path: answers.MESSAGES, key: gateway.key, body: answers.messagesRequest() };
  const first = open(gateway.port, asking);
  await until(() => replica.exchanges.length === 1, 'the first request is at work');
  const second = await ask(gateway.port, asking);
  expect(second).toMatchObject({ status: 429, headers: { 'retry-after': '1', 'x-should-retry': 'true' } });
  replica.exchanges[0]!.respond(200, answers.messagesAnswer('Aye.'));
  expect((await first.answer).status).toBe(200);
  gateway.reconfigure(poolOf([replica], { rest: { limits: { defaults: { rpm: 1 } } } }));
  replica.answer((exchange) => exchange.respond(200, answers.messagesAnswer('Aye.')));
  expect((await ask(gateway.port, asking)).status).toBe(200);
  const limited = await ask(gateway.port, { ...asking, path: answers.CHAT, body: answers.chatRequest() });
  expect(limited.status).toBe(429);
  expect(Number(limited.headers['retry-after'])).toBeGreaterThan(1);
  expect(JSON.parse(limited.body.toString())).toMatchObject({ error: { code: 'rate_limit_exceeded' } });
  expect(gateway.records.map(({ outcome, code }) => code ?? outcome)).toEqual([
    'concurrency_limited',
    'answered',
    'answered',
    'rate_limited',
  ]);
});

test('a journal that cannot take the record refuses the request, or lets it pass and counts it, as the configuration says', async () => {
  const replica = await startReplica((exchange) => exchange.respond(200, answers.messagesAnswer('Aye.')));
  const gateway = await startGateway({ config: poolOf([replica]), journal: unreservable('full') });
  const asking = { path: answers.MESSAGES, key: gateway.key, body: answers.messagesRequest() };
  expect(await ask(gateway.port, asking)).toMatchObject({ status: 503, headers: { 'x-should-retry': 'true' } });
  expect(replica.exchanges).toHaveLength(0);
  gateway.reconfigure(poolOf([replica], { rest: { journal: { when_full: 'serve' } } }));
  expect((await ask(gateway.port, asking)).status).toBe(200);
  expect(gateway.records).toHaveLength(0);
  expect(gateway.metrics()).toContain('plimsoll_unrecorded_requests_total 2');
});

test('a client that does not finish its body is refused in time, and can read the refusal', async () => {
  const gateway = await startGateway({ config: { timeouts: { body_ms: 40 } } });
  const client = await connectRaw(gateway.port);
  client.write(
    `POST ${answers.CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${gateway.key}\r\ncontent-length: 90\r\n\r\n{"model":`,
  );
  await client.says('HTTP/1.1 408 ');
  await client.says('"code":"request_timeout"');
  expect(client.text()).toMatch(/\r\nconnection: close\r\n/i);
  await client.closed();
  expect(await theRecord(gateway)).toMatchObject({ outcome: 'refused', code: 'request_timeout', requestBytes: 9 });
});

test('a failure of the gateway itself is one 500, or one error event, and one record', async () => {
  const replica = await startReplica((exchange) => exchange.events(STREAM.join('')));
  const gateway = await startGateway({
    config: poolOf([replica]),
    engine: (engine) => ({
      ...engine,
      call(request, handler) {
        if (!request.isStream) throw new Error('a bug of ours');
        return engine.call(request, handler);
      },
    }),
  });
  const received = await ask(gateway.port, { path: answers.MESSAGES, key: gateway.key, body: answers.messagesRequest() });
  expect(received.status).toBe(500);
  expect(JSON.parse(received.body.toString())).toMatchObject({ error: { type: 'api_error', message: 'Internal error' } });
  expect(await theRecord(gateway)).toMatchObject({ outcome: 'refused', code: 'internal', status: 500 });
});

test('counting tokens meters nothing', async () => {
  const replica = await startReplica((exchange) => exchange.respond(200, '{"input_tokens":12}'));
  const gateway = await startGateway({ config: poolOf([replica]) });
  const { model, messages } = answers.messagesRequest() as { model: string; messages: unknown };
  const received = await ask(gateway.port, { path: '/v1/messages/count_tokens', key: gateway.key, body: { model, messages } });
  expect(received.body.toString()).toBe('{"input_tokens":12}');
  expect(await theRecord(gateway)).toMatchObject({
    operation: 'count_tokens',
    tokens: { input: 0, output: 0, estimated: false },
  });
});
