import { expect, test } from 'vitest';
import * as answers from './kit/answers.ts';
import { connectRaw } from './kit/client.ts';
import { startReplica, type ScriptedReplica } from './kit/scripted-replica.ts';
import { poolOf, startGateway, type TestGateway } from './kit/start-gateway.ts';
import { until } from './kit/until.ts';

const BODY = JSON.stringify(answers.chatRequest());
const CHUNKED = `${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`;
/** What an attacker wants to hide inside another request. */
const HIDDEN = 'GET /v1/models HTTP/1.1\r\nhost: hidden\r\n\r\n';

async function start(): Promise<{ gateway: TestGateway; replica: ScriptedReplica }> {
  const replica = await startReplica((exchange) => exchange.respond(200, answers.chatAnswer('Aye.')));
  return { replica, gateway: await startGateway({ config: poolOf([replica], { dialect: 'openai' }) }) };
}

interface Sent {
  readonly name: string;
  /** The bytes; KEY stands for the key. */
  readonly bytes: string;
}

const head = (lines: readonly string[], version = '1.1'): string =>
  `POST ${answers.CHAT} HTTP/${version}\r\nhost: x\r\nauthorization: Bearer KEY\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
const length = `content-length: ${BODY.length}`;

const AMBIGUOUS: readonly Sent[] = [
  { name: 'a length and chunks', bytes: head([length, 'transfer-encoding: chunked']) + CHUNKED },
  { name: 'chunks and a length', bytes: head(['transfer-encoding: chunked', 'content-length: 4']) + CHUNKED },
  { name: 'two lengths that differ', bytes: head(['content-length: 4', length]) + BODY },
  { name: 'two lengths that agree', bytes: head([length, length]) + BODY },
  { name: 'a list of lengths', bytes: head([`content-length: ${BODY.length}, ${BODY.length}`]) + BODY },
  { name: 'a length with a plus', bytes: head([`content-length: +${BODY.length}`]) + BODY },
  { name: 'a negative length', bytes: head(['content-length: -1']) + BODY },
  { name: 'a length in hex', bytes: head(['content-length: 0x20']) + BODY },
  { name: 'a length with a space inside', bytes: head(['content-length: 1 0']) + BODY },
  { name: 'a length beyond all numbers', bytes: head(['content-length: 99999999999999999999999']) + BODY },
  { name: 'an empty length', bytes: head(['content-length: ']) + BODY },
  { name: 'chunked twice', bytes: head(['transfer-encoding: chunked', 'transfer-encoding: chunked']) + CHUNKED },
  { name: 'chunked twice in one line', bytes: head(['transfer-encoding: chunked, chunked']) + CHUNKED },
  { name: 'chunked and something else', bytes: head(['transfer-encoding: chunked, identity']) + CHUNKED },
  { name: 'something else and chunked', bytes: head(['transfer-encoding: gzip, chunked']) + CHUNKED },
  { name: 'only something else', bytes: head(['transfer-encoding: identity', length]) + BODY },
  { name: 'chunked in disguise', bytes: head(['transfer-encoding: xchunked']) + CHUNKED },
  { name: 'chunked behind a vertical tab', bytes: head(['transfer-encoding: \vchunked']) + CHUNKED },
  { name: 'chunked in quotes', bytes: head(['transfer-encoding: "chunked"']) + CHUNKED },
  { name: 'chunks in HTTP/1.0', bytes: head(['transfer-encoding: chunked'], '1.0') + CHUNKED },
  { name: 'a space before the colon', bytes: head([`content-length : ${BODY.length}`]) + BODY },
  { name: 'a space before the first header', bytes: head([length]).replace('host:', ' host:') + BODY },
  { name: 'a header without a colon', bytes: head(['nonsense', length]) + BODY },
  { name: 'a header without a name', bytes: head([': x', length]) + BODY },
  { name: 'a folded header', bytes: head([`x-a: b\r\n ${length}`]) + BODY },
  { name: 'a bare line feed in a header', bytes: head([`x-a: b\n${length}`]) + BODY },
  { name: 'a bare line feed before the body', bytes: `${head([length]).slice(0, -2)}\n${BODY}` },
  { name: 'a bare carriage return in a header', bytes: head([`x-a: b\r${length}`]) + BODY },
  { name: 'a NUL in a header', bytes: head(['x-a: b\0c', length]) + BODY },
  { name: 'a NUL in a name', bytes: head(['x\0a: b', length]) + BODY },
  { name: 'no host', bytes: head([length]).replace('host: x\r\n', '') + BODY },
  { name: 'two hosts', bytes: head(['host: y', length]) + BODY },
  { name: 'a version nobody knows', bytes: head([length], '1.9') + BODY },
  { name: 'no version', bytes: `GET /v1/models\r\n\r\n` },
  { name: 'a control character in the target', bytes: head([length]).replace('/v1', '/\x01v1') + BODY },
  { name: 'a negative chunk size', bytes: `${head(['transfer-encoding: chunked'])}-1\r\n${BODY}\r\n0\r\n\r\n` },
  { name: 'a chunk size with a plus', bytes: `${head(['transfer-encoding: chunked'])}+${CHUNKED}` },
  { name: 'a chunk size in hex notation', bytes: `${head(['transfer-encoding: chunked'])}0x${CHUNKED}` },
  {
    name: 'a chunk size beyond all numbers',
    bytes: `${head(['transfer-encoding: chunked'])}fffffffffffffffff\r\n${BODY}\r\n0\r\n\r\n`,
  },
  { name: 'a chunk size with a space before it', bytes: `${head(['transfer-encoding: chunked'])} ${CHUNKED}` },
  { name: 'a chunk that is longer than its size', bytes: `${head(['transfer-encoding: chunked'])}4\r\n${BODY}\r\n0\r\n\r\n` },
  {
    name: 'a chunk size ended by a bare line feed',
    bytes: `${head(['transfer-encoding: chunked'])}${CHUNKED.replace('\r\n', '\n')}`,
  },
  {
    name: 'a bare line feed in a chunk extension',
    bytes: `${head(['transfer-encoding: chunked'])}${CHUNKED.replace('\r\n', ';a\nb\r\n')}`,
  },
  { name: 'an SSH client', bytes: 'SSH-2.0-OpenSSH_9.2\r\n' },
  { name: 'a TLS client', bytes: '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' },
];

test('ambiguous framing is refused once, the connection closed, and what hides behind it never answered', async () => {
  const { gateway, replica } = await start();
  const refuse = async ({ name, bytes }: Sent): Promise<void> => {
    const client = await connectRaw(gateway.port);
    client.write(Buffer.from((bytes + HIDDEN).replace('KEY', gateway.key), 'latin1'));
    await until(client.isClosed, `${name}: the connection is closed`);
    const statuses = client.text().match(/HTTP\/1\.1 \d{3}/g) ?? [];
    expect(statuses, `${name}: ${client.text().slice(0, 300)}`).toEqual(['HTTP/1.1 400']);
    expect(client.text().toLowerCase(), name).toContain('connection: close');
  };
  await Promise.all(AMBIGUOUS.map(refuse));
  expect(replica.exchanges).toHaveLength(0);
  expect(gateway.metrics()).toContain('plimsoll_open_requests 0');
  // Node itself answers the one without a host, and tells nobody.
  expect(gateway.metrics()).toContain(`plimsoll_malformed_requests_total{reason="framing"} ${AMBIGUOUS.length - 1}\n`);
});

test('sound framing is answered, however unusual', async () => {
  const { gateway } = await start();
  for (const [name, bytes] of [
    ['a length', head([length, 'connection: close']) + BODY],
    ['a length with space around it', head([`content-length:   ${BODY.length}  `, 'connection: close']) + BODY],
    ['chunks', head(['transfer-encoding: chunked', 'connection: close']) + CHUNKED],
    ['Chunks', head(['Transfer-Encoding: Chunked', 'connection: close']) + CHUNKED],
    [
      'chunks with an extension',
      head(['transfer-encoding: chunked', 'connection: close']) + CHUNKED.replace('\r\n', ';name=value\r\n'),
    ],
    [
      'chunks with a trailer',
      head(['transfer-encoding: chunked', 'connection: close']) + CHUNKED.replace('0\r\n', '0\r\nx-sum: 1\r\n'),
    ],
    ['HTTP/1.0', head([length], '1.0') + BODY],
    ['an empty line first', `\r\n${head([length, 'connection: close'])}${BODY}`],
  ] as const) {
    const client = await connectRaw(gateway.port);
    client.write(bytes.replace('KEY', gateway.key));
    await until(client.isClosed, `${name}: answered and closed`);
    expect(client.text().match(/HTTP\/1\.1 \d{3}/g), name).toEqual(['HTTP/1.1 200']);
    expect(client.text(), name).toContain('"content":"Aye."');
  }
});

test('a target that names another host is a path that is not served, and chooses no upstream', async () => {
  const { gateway, replica } = await start();
  const client = await connectRaw(gateway.port);
  client.write(head([length]).replace(answers.CHAT, `http://127.0.0.1:9${answers.CHAT}`).replace('KEY', gateway.key) + BODY);
  await client.says('HTTP/1.1 404');
  expect(replica.exchanges).toHaveLength(0);
  client.destroy();
});

test('requests sent ahead are answered one after the other, in their order; too many are cut off', async () => {
  const { gateway, replica } = await start();
  let answered = 0;
  replica.answer((exchange) => exchange.respond(200, answers.chatAnswer(`answer ${++answered}`)));
  const client = await connectRaw(gateway.port);
  const request = (head([length]) + BODY).replace('KEY', gateway.key);
  client.write(request.repeat(5));
  await client.says('answer 5');
  expect([...client.text().matchAll(/answer \d/g)].map(String)).toEqual([1, 2, 3, 4, 5].map((number) => `answer ${number}`));
  expect(gateway.records).toHaveLength(5);
  replica.answer(() => {});
  client.write(request.repeat(40));
  await client.closed();
  await until(() => gateway.records.length === 6, 'the one that had begun is recorded');
  expect(gateway.records.at(-1)!.outcome).toBe('client_gone');
});

test('a request sent ahead of a refused body is never answered', async () => {
  const { gateway, replica } = await start();
  const client = await connectRaw(gateway.port);
  client.write(head(['content-length: 99999999']).replace('KEY', gateway.key) + BODY + HIDDEN);
  await client.closed();
  expect(client.text().match(/HTTP\/1\.1 \d{3}/g)).toEqual(['HTTP/1.1 413']);
  expect(replica.exchanges).toHaveLength(0);
});

test('garbage after a request cuts its connection, and never becomes part of its answer', async () => {
  const { gateway, replica } = await start();
  replica.answer((exchange) => {
    exchange.head(200);
    exchange.chunk(answers.chatChunks(['Seven', ' feet']).slice(0, 2).join(''));
  });
  const body = JSON.stringify(answers.chatRequest({ stream: true }));
  const client = await connectRaw(gateway.port);
  client.write(head([`content-length: ${body.length}`]).replace('KEY', gateway.key) + body);
  await client.says('Seven');
  client.write('\0\0 garbage \r\n\r\n');
  await client.closed();
  expect(client.text().match(/HTTP\/1\.1 \d{3}/g)).toEqual(['HTTP/1.1 200']);
  await until(() => replica.exchanges[0]!.closedAt !== null, 'the replica is told');
  expect(gateway.records).toMatchObject([{ outcome: 'client_gone' }]);
});

test('a broken chunk in a body is refused in the dialect of the request, and recorded', async () => {
  const { gateway } = await start();
  const client = await connectRaw(gateway.port);
  client.write(`${head(['transfer-encoding: chunked'])}4\r\n{"mo\r\n`.replace('KEY', gateway.key));
  await until(() => gateway.metrics().length > 0, 'a turn of the loop');
  client.write('zz\r\n');
  await client.closed();
  expect(client.text()).toContain('HTTP/1.1 400 ');
  expect(client.text()).toContain('"code":"bad_framing"');
  expect(gateway.records).toMatchObject([{ outcome: 'refused', code: 'bad_framing', status: 400 }]);
});

test('headers beyond the bound are refused with 431', async () => {
  const { gateway } = await start();
  const client = await connectRaw(gateway.port);
  client.write(head([`x-a: ${'a'.repeat(40_000)}`, length]) + BODY);
  await client.closed();
  expect(client.text()).toContain('HTTP/1.1 431 ');
  expect(gateway.metrics()).toContain('plimsoll_malformed_requests_total{reason="headers_too_large"} 1');
});
