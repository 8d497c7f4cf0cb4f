import { request } from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { expect, test } from 'vitest';
import * as answers from './kit/answers.ts';
import { ask, connectRaw, open } from './kit/client.ts';
import { startReplica } from './kit/scripted-replica.ts';
import { poolOf, startGateway } from './kit/start-gateway.ts';
import { until } from './kit/until.ts';

const MEBIBYTE = 1024 * 1024;

/** Runs `work` and says how long the event loop was held up at most, ms. Everything of the test runs on the same loop. */
async function delayDuring(work: () => Promise<void>): Promise<number> {
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  await work();
  delay.disable();
  return delay.max / 1e6;
}

test('a body of 32 MB and one byte is refused while it is still being sent, and the client can read why', async () => {
  const replica = await startReplica();
  const gateway = await startGateway({ config: poolOf([replica]) });
  for (const isDeclared of [true, false]) {
    let sent = 0;
    const bytes = 32 * MEBIBYTE + 1;
    const received = await new Promise<{ status: number; body: string; sent: number }>((resolve, reject) => {
      const outgoing = request({
        host: '127.0.0.1',
        port: gateway.port,
        path: answers.MESSAGES,
        method: 'POST',
        agent: false,
        headers: { 'x-api-key': gateway.key, 'anthropic-version': '2023-06-01', ...(isDeclared && { 'content-length': bytes }) },
      });
      outgoing.on('error', reject);
      outgoing.on('response', (incoming) => {
        let body = '';
        incoming.setEncoding('utf8').on('data', (text: string) => (body += text));
        incoming.on('end', () => {
          resolve({ status: incoming.statusCode ?? 0, body, sent });
          outgoing.destroy();
        });
      });
      const piece = Buffer.alloc(64 * 1024, 0x20);
      const pump = (): void => {
        while (!outgoing.destroyed) {
          sent += piece.length;
          if (!outgoing.write(piece)) {
            outgoing.once('drain', pump);
            return;
          }
        }
      };
      outgoing.write('{"model":"');
      pump();
    });
    expect(received.status).toBe(413);
    expect(JSON.parse(received.body)).toMatchObject({ error: { type: 'request_too_large' } });
    // A length that says too much is refused before the body.
    if (isDeclared) expect(received.sent).toBeLessThan(8 * MEBIBYTE);
  }
  expect(replica.exchanges).toHaveLength(0);
});

const BOMBS: readonly (readonly [string, () => Buffer])[] = [
  ['32 MB of []', () => Buffer.from(`{"model":"harbor-1","messages":[${'[],'.repeat(10 * MEBIBYTE)}[]]}`)],
  ['32 MB of [', () => Buffer.from(`{"messages":${'['.repeat(31 * MEBIBYTE)}`)],
  ['32 MB of {"a":', () => Buffer.from(`{"messages":${'{"a":'.repeat(6 * MEBIBYTE)}`)],
  ['32 MB of numbers', () => Buffer.from(`{"messages":[${'1,'.repeat(15 * MEBIBYTE)}1]}`)],
  ['32 MB of keys', () => Buffer.from(`{${'"k":0,'.repeat(5 * MEBIBYTE)}"k":0}`)],
];

test.each(BOMBS)('%s are refused before they are read to the end, and nobody else waits for it', async (_, make) => {
  const gateway = await startGateway({ config: {} });
  const body = make();
  let status = 0;
  const delayMs = await delayDuring(async () => {
    status = (await ask(gateway.port, { path: answers.MESSAGES, key: gateway.key, body })).status;
  });
  expect(status).toBe(400);
  expect(gateway.records[0]!.requestBytes).toBeLessThan(8 * MEBIBYTE);
  expect(delayMs).toBeLessThan(250);
});

test('a body of 30 MB that is sound goes through without holding up the loop', async () => {
  const replica = await startReplica((exchange) => exchange.respond(200, answers.messagesAnswer('Aye.')));
  const gateway = await startGateway({ config: poolOf([replica], { upstreamModel: 'harbor-1' }) });
  const body = Buffer.from(
    JSON.stringify(answers.messagesRequest({ messages: [{ role: 'user', content: 'a'.repeat(30 * MEBIBYTE) }] })),
  );
  let status = 0;
  const delayMs = await delayDuring(async () => {
    status = (await ask(gateway.port, { path: answers.MESSAGES, key: gateway.key, body })).status;
  });
  expect(status).toBe(200);
  expect(replica.exchanges[0]!.body.equals(body)).toBe(true);
  expect(delayMs).toBeLessThan(250);
});

test('a body that comes byte by byte is read to its end, in memory in proportion to its size', async () => {
  const replica = await startReplica((exchange) => exchange.respond(200, answers.chatAnswer('Aye.')));
  const gateway = await startGateway({ config: poolOf([replica], { dialect: 'openai', upstreamModel: 'harbor-1' }) });
  const body = JSON.stringify(answers.chatRequest({ pad: 'ä'.repeat(20_000) }));
  const bytes = Buffer.from(body);
  const client = await connectRaw(gateway.port);
  client.write(
    `POST ${answers.CHAT} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer ${gateway.key}\r\ntransfer-encoding: chunked\r\n\r\n`,
  );
  client.write(Buffer.concat([...bytes].flatMap((byte) => [Buffer.from('1\r\n'), Buffer.of(byte), Buffer.from('\r\n')])));
  client.write('0\r\n\r\n');
  await client.closed();
  expect(client.text()).toContain('HTTP/1.1 200');
  expect(replica.exchanges[0]!.body.equals(bytes)).toBe(true);
});

test('the memory for bodies is one bound for all requests, and is given back however they end', async () => {
  const replica = await startReplica();
  const config = poolOf([replica], { upstreamModel: 'harbor-1', rest: { bounds: { bodies_bytes: 100_000 } } });
  const gateway = await startGateway({ config });
  const body = answers.messagesRequest({ pad: 'x'.repeat(60_000) });
  const asking = { path: answers.MESSAGES, key: gateway.key, body };
  for (let round = 0; round < 3; round++) {
    replica.answer(() => {});
    const first = open(gateway.port, asking);
    await until(() => replica.exchanges.length === round * 3 + 1, 'the first is at work');
    const second = await ask(gateway.port, asking);
    expect(second).toMatchObject({ status: 529, headers: { 'retry-after': '1' } });
    first.leave();
    await until(() => gateway.metrics().includes('plimsoll_open_requests 0'), 'the first has ended');
    // Refused bodies take nothing for good either.
    for (let bad = 0; bad < 5; bad++)
      expect((await ask(gateway.port, { ...asking, body: `{"pad":"${'x'.repeat(60_000)}"!` })).status).toBe(400);
    replica.answer((exchange) => exchange.respond(200, answers.messagesAnswer('Aye.')));
    expect((await ask(gateway.port, asking)).status).toBe(200);
    replica.answer((exchange) => exchange.reset());
    expect((await ask(gateway.port, asking)).status).toBe(502);
  }
});

test('a client that reads nothing stops the reading from the replica, and may go on where it was', async () => {
  const total = 48 * MEBIBYTE;
  const event = Buffer.from(answers.messagesEvents(['w'.repeat(32 * 1024)], 'harbor-1')[3]!);
  const [start = '', ...rest] = answers.messagesEvents(['w'], 'harbor-1');
  let taken = 0;
  const replica = await startReplica((exchange) => {
    exchange.head(200);
    exchange.chunk(start);
    const pump = (): void => {
      for (;;) {
        if (taken >= total) {
          exchange.chunk(rest.slice(-3).join(''));
          return exchange.last();
        }
        taken += event.length;
        if (!exchange.chunk(event)) return void exchange.socket.once('drain', pump);
      }
    };
    pump();
  });
  const gateway = await startGateway({ config: poolOf([replica], { upstreamModel: 'harbor-1' }) });
  const body = JSON.stringify(answers.messagesRequest({ stream: true }));
  const client = await connectRaw(gateway.port);
  let received = 0;
  client.socket.removeAllListeners('data').pause();
  client.write(
    `POST ${answers.MESSAGES} HTTP/1.1\r\nhost: x\r\nanthropic-version: 2023-06-01\r\nx-api-key: ${gateway.key}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  // Everything that can fill has filled when nothing moves any more.
  let stoodAt = -1;
  let looks = 0;
  await until(
    () => {
      looks = taken === stoodAt && taken > 0 ? looks + 1 : 0;
      stoodAt = taken;
      return looks >= 50;
    },
    'the replica is no longer read from',
    10_000,
  );
  expect(taken).toBeLessThan(24 * MEBIBYTE); // the kernel's buffers on both sides, and little of ours
  let tail = '';
  client.socket.on('data', (chunk: Buffer) => {
    received += chunk.length;
    tail = (tail + chunk.toString('latin1')).slice(-400);
  });
  client.socket.resume();
  await until(() => tail.includes('message_stop'), 'the whole stream has come', 15_000);
  expect(received).toBeGreaterThan(total);
  expect(gateway.records).toMatchObject([{ outcome: 'answered' }]);
  client.destroy();
});

test('a client that never reads its answer loses its connection, and does not keep it for ever', async () => {
  const replica = await startReplica((exchange) => exchange.respond(200, answers.messagesAnswer('a'.repeat(16 * MEBIBYTE))));
  const gateway = await startGateway({ config: poolOf([replica], { rest: { timeouts: { idle_ms: 200 } } }) });
  const body = JSON.stringify(answers.messagesRequest());
  const client = await connectRaw(gateway.port);
  client.socket.removeAllListeners('data').pause();
  client.write(
    `POST ${answers.MESSAGES} HTTP/1.1\r\nhost: x\r\nanthropic-version: 2023-06-01\r\nx-api-key: ${gateway.key}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  await until(() => gateway.records.length === 1, 'the answer is on its way');
  const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
  const before = sockets();
  await until(() => sockets() < before, 'the gateway has let go of the connection');
  client.destroy();
});

test('a very large event passes whole', async () => {
  const events = answers.messagesEvents(['w'.repeat(8 * MEBIBYTE)], 'harbor-1').join('');
  const replica = await startReplica((exchange) => exchange.events(events));
  const gateway = await startGateway({ config: poolOf([replica], { upstreamModel: 'harbor-1' }) });
  const received = await ask(gateway.port, {
    path: answers.MESSAGES,
    key: gateway.key,
    body: answers.messagesRequest({ stream: true }),
  });
  expect(received.body.equals(Buffer.from(events))).toBe(true);
});

test('answers whose last events fill the socket leave the connection to the replica as good as new', async () => {
  const events = answers.messagesEvents(['w'.repeat(200_000)], 'harbor-1').join('');
  const replica = await startReplica((exchange) => {
    exchange.head(200);
    exchange.chunk(events);
  });
  const gateway = await startGateway({ config: poolOf([replica], { upstreamModel: 'harbor-1' }) });
  for (let round = 0; round < 5; round++) {
    const client = await connectRaw(gateway.port);
    const body = JSON.stringify(answers.messagesRequest({ stream: true }));
    client.socket.pause(); // it does not read until the answer has ended
    client.write(
      `POST ${answers.MESSAGES} HTTP/1.1\r\nhost: x\r\nanthropic-version: 2023-06-01\r\nx-api-key: ${gateway.key}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    await until(() => gateway.records.length === round + 1, 'the answer has ended');
    client.socket.resume();
    await client.says('message_stop');
    client.destroy();
    // The end of the replica's bytes is taken in although nobody waits for it any more.
    replica.exchanges.at(-1)!.last();
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(replica.connections().taken).toBe(1);
});

test('what comes before content is held up to a bound, and then passed on', async () => {
  const pings = 'event: ping\ndata: {"type":"ping"}\n\n'.repeat(9_000);
  const replica = await startReplica((exchange) => {
    exchange.head(200);
    exchange.chunk(pings);
  });
  const gateway = await startGateway({ config: poolOf([replica]) });
  const request = open(gateway.port, {
    path: answers.MESSAGES,
    key: gateway.key,
    body: answers.messagesRequest({ stream: true }),
  });
  await until(() => request.received().body.length === pings.length, 'the pings have come');
  replica.exchanges[0]!.socket.end();
  const received = await request.answer;
  expect(received.body.subarray(pings.length).toString()).toMatch(/^event: error\n/);
  expect(gateway.records).toMatchObject([{ outcome: 'broken' }]);
});
