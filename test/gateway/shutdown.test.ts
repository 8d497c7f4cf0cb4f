import { expect, test } from 'vitest';
import * as answers from './kit/answers.ts';
import { ask, connectRaw, open } from './kit/client.ts';
import { startReplica, type Exchange } from './kit/scripted-replica.ts';
import { poolOf, startGateway } from './kit/start-gateway.ts';
import { until } from './kit/until.ts';

const STREAM = answers.messagesEvents(['Seven', ' feet', '.'], 'harbor-1');

test('a gateway that shuts down takes no more connections, lets streams end, and then closes at once', async () => {
  const replica = await startReplica((exchange) => {
    exchange.head(200);
    exchange.chunk(STREAM.slice(0, 4).join(''));
  });
  const config = poolOf([replica], { upstreamModel: 'harbor-1', rest: { timeouts: { drain_ms: 20_000 } } });
  const gateway = await startGateway({ config });
  const asking = { path: answers.MESSAGES, key: gateway.key, body: answers.messagesRequest({ stream: true }) };
  const idle = await connectRaw(gateway.port);
  idle.write('HEAD / HTTP/1.1\r\nhost: x\r\n\r\n');
  await idle.says('HTTP/1.1 200');
  const request = open(gateway.port, asking);
  await until(() => request.received().body.includes('Seven'), 'the stream runs');
  const closing = gateway.close();
  expect(gateway.gateway.readiness()).toEqual({ isReady: false, because: ['shutting down'] });
  await idle.closed();
  await expect(ask(gateway.port, asking)).rejects.toThrow('ECONNREFUSED');
  replica.exchanges[0]!.chunk(STREAM.slice(4).join(''));
  replica.exchanges[0]!.last();
  const received = await request.answer;
  expect(received).toMatchObject({ isComplete: true });
  expect(received.body.toString()).toBe(STREAM.join(''));
  await closing;
  expect(gateway.records).toMatchObject([{ outcome: 'answered' }]);
});

test('what still runs when the time to drain is over is cut: a stream by one error event, the others by a 503', async () => {
  const replica = await startReplica((exchange: Exchange) => {
    if (!exchange.body.includes('"stream":true')) return;
    exchange.head(200);
    exchange.chunk(STREAM.slice(0, exchange.body.includes('"max_tokens":1,') ? 3 : 4).join(''));
  });
  const config = poolOf([replica], { upstreamModel: 'harbor-1', rest: { timeouts: { drain_ms: 30 } } });
  const gateway = await startGateway({ config });
  const send = (more: object) =>
    open(gateway.port, { path: answers.MESSAGES, key: gateway.key, body: answers.messagesRequest(more) });
  const streaming = send({ stream: true });
  const gated = send({ stream: true, max_tokens: 1 });
  const whole = send({});
  const uploading = await connectRaw(gateway.port);
  uploading.write(
    `POST ${answers.CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${gateway.key}\r\ncontent-length: 90\r\n\r\n{"model":`,
  );
  await until(() => streaming.received().body.includes('Seven') && replica.exchanges.length === 3, 'all of them run');
  await gateway.close();
  const cut = await streaming.answer;
  expect(cut.isComplete).toBe(true);
  const tail = cut.body.toString().slice(STREAM.slice(0, 4).join('').length);
  expect(tail).toMatch(/^event: error\ndata: \{.*"type":"error".*shutting down.*\}\n\n$/);
  for (const request of [gated, whole])
    expect(await request.answer).toMatchObject({
      status: 503,
      isComplete: true,
      headers: { 'x-should-retry': 'true', 'retry-after': '1' },
    });
  expect(uploading.text()).toContain('HTTP/1.1 503');
  for (const exchange of replica.exchanges) expect(exchange.closedAt).not.toBeNull();
  expect(gateway.records.map(({ outcome }) => outcome)).toEqual(['shut_down', 'shut_down', 'shut_down', 'shut_down']);
});

test('a client that does not read does not keep a gateway from closing', async () => {
  const replica = await startReplica((exchange) => exchange.respond(200, answers.messagesAnswer('a'.repeat(16 * 1024 * 1024))));
  const gateway = await startGateway({ config: poolOf([replica], { rest: { timeouts: { drain_ms: 30 } } }) });
  const body = JSON.stringify(answers.messagesRequest());
  const client = await connectRaw(gateway.port);
  client.socket.removeAllListeners('data').pause();
  client.write(
    `POST ${answers.MESSAGES} HTTP/1.1\r\nhost: x\r\nanthropic-version: 2023-06-01\r\nx-api-key: ${gateway.key}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  await until(() => gateway.records.length === 1, 'the answer is on its way');
  await gateway.close();
  client.destroy();
});

test('hundreds of connections that close, idle or half way, leave nothing behind', async () => {
  const replica = await startReplica((exchange) => exchange.respond(200, answers.messagesAnswer('Aye.')));
  const gateway = await startGateway({ config: poolOf([replica]) });
  const body = JSON.stringify(answers.messagesRequest());
  const request = `POST ${answers.MESSAGES} HTTP/1.1\r\nhost: x\r\nanthropic-version: 2023-06-01\r\nx-api-key: ${gateway.key}\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  const clients = await Promise.all(Array.from({ length: 300 }, () => connectRaw(gateway.port)));
  clients.forEach((client, index) => {
    if (index % 4 === 1) client.write(request.slice(0, 20 + (index % 60)));
    if (index % 4 >= 2) client.write(request);
  });
  await until(
    () => clients.every((client, index) => index % 4 < 2 || client.text().includes('Aye.')),
    'half of them are answered',
  );
  for (const [index, client] of clients.entries()) {
    if (index % 2 === 0) client.destroy();
    else client.socket.resetAndDestroy();
  }
  await until(() => clients.every((client) => client.isClosed()), 'all are closed');
  expect(gateway.records).toHaveLength(150);
  expect((await ask(gateway.port, { path: answers.MESSAGES, key: gateway.key, body })).status).toBe(200);
});

test('a new configuration takes effect between requests, and the old one lasts as long as what began with it', async () => {
  const [first, second] = [
    await startReplica(),
    await startReplica((exchange) => exchange.respond(200, answers.messagesAnswer('second'))),
  ];
  const gateway = await startGateway({ config: poolOf([first]) });
  const asking = { path: answers.MESSAGES, key: gateway.key, body: answers.messagesRequest() };
  const request = open(gateway.port, asking);
  await until(() => first.exchanges.length === 1, 'the first is at work');
  gateway.reconfigure(poolOf([second]));
  expect((await ask(gateway.port, asking)).body.toString()).toContain('second');
  first.exchanges[0]!.respond(200, answers.messagesAnswer('first'));
  expect((await request.answer).body.toString()).toContain('first');
  await until(() => first.connections().open === 0, 'the old replica is let go');
});

test('a request that arrives when nothing is taken any more is told so, and no replica hears of it', async () => {
  const replica = await startReplica();
  const gateway = await startGateway({ config: poolOf([replica]) });
  const client = await connectRaw(gateway.port);
  const body = JSON.stringify(answers.chatRequest());
  const head = `POST ${answers.CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${gateway.key}\r\ncontent-length: ${body.length}\r\n\r\n`;
  client.write(head.slice(0, 30));
  await until(() => gateway.metrics().length > 0, 'a turn of the loop');
  const closing = gateway.close();
  await new Promise((resolve) => setImmediate(resolve));
  client.write(head.slice(30) + body);
  await client.closed();
  expect(client.text()).toContain('HTTP/1.1 503 ');
  await closing;
  expect(replica.exchanges).toHaveLength(0);
  expect(gateway.records).toMatchObject([{ outcome: 'shut_down', code: 'shutting_down' }]);
});
