import Anthropic from '@anthropic-ai/sdk';
import AnthropicBefore1 from 'anthropic-sdk-0';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createReplica } from '../../src/cli/check/replica/replica.ts';
import { say, type Fault } from '../../src/cli/check/replica/script.ts';
import { poolOf, startGateway, type TestGateway } from '../gateway/kit/start-gateway.ts';
import { until } from '../gateway/kit/until.ts';
import { ANSWER, ENGINES, startBeforeSimulated, TOOL_ARGUMENTS } from './simulated.ts';

/** Both majors, as users install them. The older one's types are read as the newer one's: what is called is the same in both. */
const CLIENTS = [
  ['1.x', Anthropic],
  ['0.x', AnthropicBefore1 as unknown as typeof Anthropic],
] as const;
const TOOLS = ['weather', 'clock'].map((name) => ({ name, input_schema: { type: 'object' as const } }));

const question = (content: string) => ({ model: 'harbor-1', max_tokens: 64, messages: [{ role: 'user' as const, content }] });

describe.each(CLIENTS)('the Anthropic client %s', (_, Client) => {
  const connect = ({ url, key }: TestGateway, more: { readonly key?: string; readonly maxRetries?: number } = {}) =>
    new Client({ baseURL: url, apiKey: more.key ?? key, maxRetries: more.maxRetries ?? 0, logLevel: 'off' });

  describe.each(ENGINES)('before a simulated engine that speaks %s', (dialect) => {
    test('gets a message, its usage and its request id', async () => {
      const { served } = await startBeforeSimulated(dialect);
      const message = await connect(served).messages.create(question('How many feet?'));
      expect(message).toMatchObject({
        type: 'message',
        role: 'assistant',
        model: 'harbor-1',
        content: [{ type: 'text', text: ANSWER }],
        stop_reason: 'end_turn',
      });
      expect(message.usage.input_tokens).toBeGreaterThan(0);
      expect(message._request_id).toBe(served.records[0]?.id);
    });

    test('builds the same message from a stream', async () => {
      const { served } = await startBeforeSimulated(dialect);
      const stream = connect(served).messages.stream(question('How many feet?'));
      let streamed = '';
      stream.on('text', (piece) => (streamed += piece));
      const message = await stream.finalMessage();
      expect(streamed).toBe(ANSWER);
      expect(message).toMatchObject({ model: 'harbor-1', content: [{ type: 'text', text: ANSWER }], stop_reason: 'end_turn' });
      expect(stream.request_id).toBe(served.records[0]?.id);
      expect(message.usage.output_tokens).toBe(served.records[0]?.tokens.output);
    });

    test.each([false, true])('gets two parallel tool calls with their input (streamed: %s)', async (isStream) => {
      const { served } = await startBeforeSimulated(dialect);
      const asked = { ...question('Use two tools.'), tools: TOOLS };
      const client = connect(served);
      const message = isStream ? await client.messages.stream(asked).finalMessage() : await client.messages.create(asked);
      expect(message.content.filter(({ type }) => type === 'tool_use')).toMatchObject([
        { name: 'weather', input: TOOL_ARGUMENTS },
        { name: 'clock', input: { city: '東京' } },
      ]);
      expect(message.stop_reason).toBe('tool_use');
    });

    test('raises on a stream that broke, in the helper and in plain iteration', async () => {
      const { served } = await startBeforeSimulated(dialect);
      const client = connect(served);
      await expect(client.messages.stream(question('bad luck')).finalMessage()).rejects.toBeInstanceOf(Client.APIError);
      const events = await client.messages.create({ ...question('bad luck'), stream: true });
      const drained = (async () => {
        for await (const _event of events);
      })();
      await expect(drained).rejects.toBeInstanceOf(Client.APIError);
    });

    test('stops the engine when its user aborts a stream', async () => {
      const { served, engine } = await startBeforeSimulated(dialect);
      const stream = connect(served).messages.stream(question('wait for ever'));
      stream.once('streamEvent', () => stream.abort());
      await expect(stream.finalMessage()).rejects.toBeInstanceOf(Client.APIUserAbortError);
      await until(() => engine.stats().open_work === 0 && engine.stats().requests_cancelled === 1, 'the engine was told');
      await until(() => served.records.length === 1, 'the record');
      expect(served.records[0]?.outcome).toBe('client_gone');
    });

    test('stops the engine when its user aborts a whole answer', async () => {
      const { served, engine } = await startBeforeSimulated(dialect);
      const leaving = new AbortController();
      const asking = connect(served).messages.create(question('say nothing'), { signal: leaving.signal });
      const refused = expect(asking).rejects.toBeInstanceOf(Client.APIUserAbortError);
      await until(() => engine.stats().open_work === 1, 'the engine was asked');
      leaving.abort();
      await refused;
      await until(() => engine.stats().open_work === 0, 'the engine was told');
    });

    test('is served under beta.messages', async () => {
      const { served } = await startBeforeSimulated(dialect);
      const message = await connect(served).beta.messages.create({
        ...question('How many feet?'),
        betas: ['some-beta-2026-01-01'],
      });
      expect(message.content).toMatchObject([{ type: 'text', text: ANSWER }]);
    });
  });

  test('counts tokens', async () => {
    const { served } = await startBeforeSimulated('anthropic');
    const { model, messages } = question('How many feet?');
    const counted = await connect(served).messages.countTokens({ model, messages });
    const answered = await connect(served).messages.create(question('How many feet?'));
    expect(counted.input_tokens).toBe(answered.usage.input_tokens + (answered.usage.cache_read_input_tokens ?? 0));
  });

  test('pages through the models by itself, and finds one by its id', async () => {
    const { served } = await startBeforeSimulated('anthropic');
    const client = connect(served);
    const ids: string[] = [];
    for await (const { id } of client.models.list({ limit: 1 })) ids.push(id);
    expect(ids).toEqual(['harbor-1', 'harbor-2', 'harbor-3']);
    expect(await client.models.retrieve('harbor-2')).toMatchObject({ id: 'harbor-2', type: 'model' });
  });

  test.each([
    ['a wrong key', 401, 'AuthenticationError', { key: 'wrong' }, question('hi')],
    ['an unknown model', 404, 'NotFoundError', {}, { ...question('hi'), model: 'no-such-model' }],
    ['no limit of tokens', 400, 'BadRequestError', {}, { ...question('hi'), max_tokens: undefined }],
    ['a body that is too large', 413, null, {}, question('x'.repeat(8_192))],
  ] as const)('throws what its users catch: %s is a %i', async (_what, status, name, more, asked) => {
    const { served } = await startBeforeSimulated('anthropic', { bounds: { body_bytes: 4_096 } });
    const thrown: unknown = await connect(served, more)
      .messages.create(asked as ReturnType<typeof question>)
      .catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(Client.APIError);
    expect(thrown).toMatchObject({ status, error: { type: 'error' } });
    expect((thrown as InstanceType<typeof Client.APIError>).requestID).toMatch(/^req_/);
    if (name !== null) expect(thrown).toBeInstanceOf(Client[name]);
  });

  test('throws RateLimitError for a second request at once where a key may have one', async () => {
    const { served, engine } = await startBeforeSimulated('anthropic', { limits: { defaults: { concurrency: 1 } } });
    const leaving = new AbortController();
    const first = connect(served).messages.create(question('say nothing'), { signal: leaving.signal });
    const left = expect(first).rejects.toBeInstanceOf(Client.APIUserAbortError);
    await until(() => engine.stats().open_work === 1, 'the first request');
    const thrown: unknown = await connect(served)
      .messages.create(question('hi'))
      .catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(Client.RateLimitError);
    expect((thrown as InstanceType<typeof Client.APIError>).headers?.get('retry-after')).toBe('1');
    leaving.abort();
    await left;
  });

  describe('before a replica of scripts', () => {
    const busy: Fault = { kind: 'http_error', status: 529, message: 'Overloaded', headers: { 'retry-after-ms': '40' } };
    const start = async () => {
      const replica = await createReplica({ host: '127.0.0.1', port: 0, upstreamKey: 'upstream-secret' });
      onTestFinished(() => replica.close());
      return { replica, served: await startGateway({ config: poolOf([{ url: replica.anthropicUrl }]) }) };
    };

    test('tries a busy model again after the time it was told, and then has its answer', async () => {
      const { replica, served } = await start();
      const turn = replica.play((index) => (index === 0 ? { answer: say(''), fault: busy } : { answer: say('At last.') }));
      const message = await connect(served, { maxRetries: 2 }).messages.create(question(turn.marker));
      expect(message.content).toMatchObject([{ text: 'At last.' }]);
      expect(turn.seen).toHaveLength(2);
      expect(Number(turn.seen[1]?.atMs) - Number(turn.seen[0]?.atMs)).toBeGreaterThanOrEqual(39);
    });

    test('gives up after its retries with the class for overload', async () => {
      const { replica, served } = await start();
      const turn = replica.play({ answer: say(''), fault: busy });
      const thrown: unknown = await connect(served, { maxRetries: 2 })
        .messages.create(question(turn.marker))
        .catch((error: unknown) => error);
      expect(thrown).toMatchObject({ status: 529, error: { error: { type: 'overloaded_error' } } });
      // The older major has no class of its own for it.
      expect(thrown).toBeInstanceOf(Client === Anthropic ? Client.OverloadedError : Client.InternalServerError);
      expect(served.records).toHaveLength(3);
    });

    test('does not try again what x-should-retry tells it not to', async () => {
      const { replica, served } = await start();
      const turn = replica.play({ answer: say(''), fault: { kind: 'http_error', status: 401, message: 'invalid x-api-key' } });
      await expect(connect(served, { maxRetries: 2 }).messages.create(question(turn.marker))).rejects.toMatchObject({
        status: 502,
      });
      expect(served.records).toHaveLength(1);
    });

    test('reaches the replica with its beta names and its API version as it sent them', async () => {
      const { replica, served } = await start();
      const turn = replica.play({ answer: say('Ok.') });
      const client = connect(served);
      await client.beta.messages.create({ ...question(turn.marker), betas: ['one-2026-01-01', 'two-2026-02-02'] });
      expect(turn.seen[0]?.headers).toMatchObject({
        'anthropic-beta': 'one-2026-01-01,two-2026-02-02',
        'anthropic-version': Client === Anthropic ? '2026-10-21' : '2023-06-01',
        'x-api-key': 'upstream-secret',
      });
      expect(turn.seen[0]?.headers.authorization).toBeUndefined();
    });
  });
});
