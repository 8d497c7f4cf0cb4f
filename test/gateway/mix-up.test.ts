import { Agent, request } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { createDraw } from '#core/simulation';
import * as answers from './kit/answers.ts';
import { startReplica } from './kit/scripted-replica.ts';
import { poolOf, startGateway } from './kit/start-gateway.ts';
import { until } from './kit/until.ts';

const REQUESTS = 3_000;
const AT_ONCE = 24;

/** Every marker in a text; an answer may hold its own only. */
const markersIn = (text: string): Set<string> => new Set(text.match(/marker-\d+-/g));

test('of thousands of requests over few connections, cancelled at random moments, none gets a word of another', async () => {
  const seed = Date.now() & 0x7fffffff;
  const draw = createDraw(seed);
  const replica = await startReplica(async (exchange) => {
    const marker = /marker-\d+-/.exec(exchange.body.toString())?.[0] ?? 'none';
    if (!exchange.body.includes('"stream":true')) return exchange.respond(200, answers.messagesAnswer(marker));
    exchange.head(200);
    for (const event of answers.messagesEvents([marker, marker, marker, marker])) {
      exchange.chunk(event.replace('msg_01', marker));
      if (exchange.closedAt !== null) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
    exchange.last();
  });
  // As many connections as requests at once: each is used by one request after another, in no order.
  const gateway = await startGateway({ config: poolOf([replica], { rest: { bounds: { replica_connections: AT_ONCE * 2 } } }) });
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  onTestFinished(() => agent.destroy());

  let cancelled = 0;
  let answered = 0;
  const one = (index: number): Promise<void> =>
    new Promise((resolve) => {
      const marker = `marker-${index}-`;
      const isStream = index % 3 !== 0;
      const leaveAfter = draw() < 0.4 ? Math.floor(draw() * 6) : Infinity;
      const outgoing = request({
        agent,
        host: '127.0.0.1',
        port: gateway.port,
        path: answers.MESSAGES,
        method: 'POST',
        headers: { 'x-api-key': gateway.key, 'anthropic-version': '2023-06-01' },
      });
      let text = '';
      let chunks = 0;
      const leave = (): void => {
        cancelled++;
        outgoing.destroy();
      };
      outgoing.on('error', () => {});
      outgoing.on('close', () => {
        const found = markersIn(text);
        found.delete(marker);
        expect([...found], `seed ${seed}: request ${index} got words of others`).toEqual([]);
        resolve();
      });
      outgoing.on('response', (incoming) => {
        incoming.setEncoding('utf8');
        incoming.on('data', (piece: string) => {
          text += piece;
          if (++chunks > leaveAfter) leave();
        });
        incoming.on('end', () => {
          answered++;
          expect(text, `seed ${seed}: request ${index}`).toContain(marker);
          expect(incoming.statusCode, text).toBe(200);
        });
        incoming.on('error', () => {});
      });
      outgoing.end(JSON.stringify(answers.messagesRequest({ stream: isStream, messages: [{ role: 'user', content: marker }] })));
      if (leaveAfter === 0) setImmediate(leave);
    });

  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < REQUESTS) await one(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  await until(() => gateway.metrics().includes('plimsoll_open_requests 0'), 'nothing is left open');
  expect(answered).toBeGreaterThan(REQUESTS / 3);
  expect(cancelled).toBeGreaterThan(REQUESTS / 10);
  expect(replica.connections().taken).toBeLessThan(answered); // connections were used again
  expect(new Set(gateway.records.map(({ id }) => id)).size).toBe(gateway.records.length);
});

test('an answer that a replica sends unasked on an idle connection is given to nobody', async () => {
  const replica = await startReplica();
  const gateway = await startGateway({ config: poolOf([replica]) });
  const agent = new Agent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  const ask = (marker: string): Promise<string> =>
    new Promise((resolve) => {
      const outgoing = request({
        agent,
        host: '127.0.0.1',
        port: gateway.port,
        path: answers.MESSAGES,
        method: 'POST',
        headers: { 'x-api-key': gateway.key, 'anthropic-version': '2023-06-01' },
      });
      outgoing.on('response', (incoming) => {
        let text = '';
        incoming.setEncoding('utf8').on('data', (piece: string) => (text += piece));
        incoming.on('end', () => resolve(text));
      });
      outgoing.end(JSON.stringify(answers.messagesRequest({ messages: [{ role: 'user', content: marker }] })));
    });
  // Two answers for one request: the second belongs to nobody.
  replica.answer((exchange) => {
    exchange.respond(200, answers.messagesAnswer('mine'));
    exchange.respond(200, answers.messagesAnswer('stolen'));
  });
  for (let round = 0; round < 20; round++) {
    const text = await ask(`round ${round}`);
    expect(text).toContain('mine');
    expect(text).not.toContain('stolen');
  }
});
