import { expect, test } from 'vitest';
import * as answers from './kit/answers.ts';
import { ask, connectRaw, open } from './kit/client.ts';
import { startReplica, type Script } from './kit/scripted-replica.ts';
import { poolOf, startGateway } from './kit/start-gateway.ts';
import { until } from './kit/until.ts';

/** The promise: a client that leaves is felt at the replica within this time, in every phase. */
const ABORT_MS = 100;
const WORDS = ['Seven', ' feet', ' in', ' summer', '.'];
const STREAM = answers.messagesEvents(WORDS);
const upTo =
  (events: number): Script =>
  (exchange) => {
    exchange.head(200);
    for (const event of STREAM.slice(0, events)) exchange.chunk(event);
  };

interface Phase {
  readonly name: string;
  readonly isStream: boolean;
  readonly script: Script;
  /** What the client has got when it leaves. */
  readonly seen: string;
  readonly tokens: object;
}

const PHASES: readonly Phase[] = [
  {
    name: 'before the first byte of a whole answer',
    isStream: false,
    script: () => {},
    seen: '',
    tokens: { output: 0, estimated: true },
  },
  {
    name: 'in the middle of a whole answer',
    isStream: false,
    script: (exchange) =>
      void exchange.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{"model":'),
    seen: '',
    tokens: { output: 0, estimated: true },
  },
  {
    name: 'before the first byte of a stream',
    isStream: true,
    script: () => {},
    seen: '',
    tokens: { output: 0, estimated: true },
  },
  {
    name: 'while a stream is held at the gate',
    isStream: true,
    script: upTo(3),
    seen: '',
    tokens: { output: 0, estimated: true },
  },
  {
    name: 'after the first word',
    isStream: true,
    script: upTo(4),
    seen: 'Seven',
    tokens: { input: 21, cacheRead: 4, output: 1, estimated: true },
  },
  {
    name: 'in the middle of a stream',
    isStream: true,
    script: upTo(6),
    seen: ' in',
    tokens: { input: 21, cacheRead: 4, output: 3, estimated: true },
  },
  {
    name: 'before the last event of a stream',
    isStream: true,
    script: upTo(STREAM.length - 1),
    seen: 'message_delta',
    tokens: { input: 21, output: 5, estimated: false },
  },
];

test.each(PHASES)(
  'a client that leaves $name is felt at the replica within 100 ms, and metered for what it got',
  async (phase) => {
    const replica = await startReplica(phase.script);
    const gateway = await startGateway({ config: poolOf([replica]) });
    const request = open(gateway.port, {
      path: answers.MESSAGES,
      key: gateway.key,
      body: answers.messagesRequest({ stream: phase.isStream }),
    });
    await until(
      () => replica.exchanges.length === 1 && request.received().body.includes(phase.seen),
      `the client has seen ${phase.seen}`,
    );
    const leftAt = request.leave();
    await until(() => replica.exchanges[0]!.closedAt !== null, 'the replica sees its connection closed');
    expect(replica.exchanges[0]!.closedAt! - leftAt).toBeLessThan(ABORT_MS);
    await until(() => gateway.records.length === 1, 'the request is recorded');
    expect(gateway.records).toMatchObject([
      { outcome: 'client_gone', code: 'client_gone', attempts: [{ outcome: 'aborted' }], tokens: phase.tokens },
    ]);
    expect(gateway.metrics()).toContain('plimsoll_open_requests 0');
  },
);

test('a client that leaves while it sends its body is recorded, and no replica hears of it', async () => {
  const replica = await startReplica();
  const gateway = await startGateway({ config: poolOf([replica]) });
  for (const leave of ['destroy', 'reset'] as const) {
    const client = await connectRaw(gateway.port);
    client.write(
      `POST ${answers.CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${gateway.key}\r\ncontent-length: 90\r\n\r\n{"model":`,
    );
    await until(() => gateway.metrics().length > 0, 'a turn of the loop');
    if (leave === 'reset') client.socket.resetAndDestroy();
    else client.destroy();
  }
  await until(() => gateway.records.length === 2, 'both are recorded');
  for (const record of gateway.records) expect(record).toMatchObject({ outcome: 'client_gone', status: 499, attempts: [] });
  expect(replica.exchanges).toHaveLength(0);
});

test('a request that waits behind another on its connection begins only when its turn has come', async () => {
  const replica = await startReplica();
  const gateway = await startGateway({ config: poolOf([replica]) });
  const client = await connectRaw(gateway.port);
  const body = JSON.stringify(answers.chatRequest());
  const request = `POST ${answers.CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${gateway.key}\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  client.write(request + request + request);
  await until(() => replica.exchanges.length === 1, 'the first is at work');
  replica.answer((exchange) => exchange.respond(200, answers.chatAnswer('second'))); // it speaks Anthropic: the answer is refused
  client.destroy();
  await until(() => gateway.records.length === 1, 'the first is recorded');
  await until(() => replica.exchanges[0]!.closedAt !== null, 'the replica is told');
  expect(replica.exchanges).toHaveLength(1);
  expect(gateway.records).toMatchObject([{ outcome: 'client_gone' }]);
});

test('two hundred dropped clients leave a pool of four connections as it was', async () => {
  const replica = await startReplica(upTo(5));
  const gateway = await startGateway({ config: poolOf([replica], { rest: { bounds: { replica_connections: 4 } } }) });
  const stream = { path: answers.MESSAGES, key: gateway.key, body: answers.messagesRequest({ stream: true }) };
  for (let dropped = 0; dropped < 200; dropped += 4) {
    const requests = Array.from({ length: 4 }, () => open(gateway.port, stream));
    await until(() => requests.every((request) => request.received().body.includes(' feet')), 'four streams run');
    for (const request of requests) request.leave();
    await until(() => replica.connections().open === 0, 'the replica has no connection left open');
  }
  replica.answer((exchange) => exchange.respond(200, answers.messagesAnswer('Aye.')));
  const all = await Promise.all(
    Array.from({ length: 4 }, () => ask(gateway.port, { ...stream, body: answers.messagesRequest() })),
  );
  expect(all.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  expect(gateway.records.filter(({ outcome }) => outcome === 'client_gone')).toHaveLength(200);
  for (const { tokens } of gateway.records.slice(0, 200)) expect(tokens).toMatchObject({ output: 2, estimated: true });
});

test('a client that has read every token and drops before the end pays for every token', async () => {
  const replica = await startReplica();
  const gateway = await startGateway({ config: poolOf([replica]) });
  for (const count of [1, 7, 40]) {
    const events = answers.messagesEvents(Array.from({ length: count }, (_, index) => ` w${index}`));
    replica.answer((exchange) => {
      exchange.head(200);
      exchange.chunk(events.slice(0, 3 + count).join(''));
    });
    const request = open(gateway.port, {
      path: answers.MESSAGES,
      key: gateway.key,
      body: answers.messagesRequest({ stream: true }),
    });
    await until(() => request.received().body.includes(` w${count - 1}"`), 'the last word is there');
    request.leave();
    const before = gateway.records.length;
    await until(() => gateway.records.length > before, 'it is recorded');
    expect(gateway.records.at(-1)!.tokens).toMatchObject({ output: count, estimated: true });
  }
});

test('clients that reset their connections in every phase never harm the process', async () => {
  const replica = await startReplica();
  const gateway = await startGateway({ config: poolOf([replica], { upstreamModel: 'harbor-1' }) });
  const body = JSON.stringify(answers.messagesRequest({ stream: true }));
  const request = `POST ${answers.MESSAGES} HTTP/1.1\r\nhost: x\r\nanthropic-version: 2023-06-01\r\nx-api-key: ${gateway.key}\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  const sent = STREAM.join('');
  for (let round = 0; round < 120; round++) {
    replica.answer((exchange) => {
      exchange.head(200);
      exchange.chunk(sent.slice(0, (sent.length * (round % 40)) / 39));
      if (round % 3 === 0) exchange.last();
      if (round % 7 === 0) exchange.reset();
    });
    const client = await connectRaw(gateway.port);
    client.write(request.slice(0, Math.ceil((request.length * (round + 1)) / 100)));
    if (round % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
    client.socket.resetAndDestroy();
  }
  await until(() => gateway.metrics().includes('plimsoll_open_requests 0'), 'nothing is left open');
  replica.answer((exchange) => exchange.events(sent));
  const received = await ask(gateway.port, { path: answers.MESSAGES, key: gateway.key, body });
  expect(received.body.toString()).toContain('message_stop');
  expect(gateway.log.lines.filter(({ level }) => level === 'error')).toEqual([]);
});
