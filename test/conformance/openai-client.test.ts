import OpenAI from 'openai';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createReplica } from '../../src/cli/check/replica/replica.ts';
import { say, type Fault } from '../../src/cli/check/replica/script.ts';
import { poolOf, startGateway, type TestGateway } from '../gateway/kit/start-gateway.ts';
import { until } from '../gateway/kit/until.ts';
import { ANSWER, ENGINES, startBeforeSimulated, TOOL_ARGUMENTS } from './simulated.ts';

const connect = ({ url, key }: TestGateway, more: { readonly key?: string; readonly maxRetries?: number } = {}) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: more.key ?? key, maxRetries: more.maxRetries ?? 0, logLevel: 'off' });
const question = (content: string) => ({ model: 'harbor-1', max_tokens: 64, messages: [{ role: 'user' as const, content }] });
const EXPECTED_CALLS = [
  ['weather', TOOL_ARGUMENTS],
  ['clock', { city: '東京' }],
];
const NAMES = ['weather', 'clock'];
const CHAT_TOOLS = NAMES.map((name) => ({ type: 'function' as const, function: { name, parameters: { type: 'object' } } }));
const RESPONSE_TOOLS = NAMES.map((name) => ({ type: 'function' as const, name, strict: false, parameters: { type: 'object' } }));

const callsOf = (calls: readonly { readonly name: string; readonly arguments: string }[]) =>
  calls.map((call) => [call.name, JSON.parse(call.arguments) as unknown]);

describe.each(ENGINES)('the OpenAI client before a simulated engine that speaks %s', (dialect) => {
  test('gets a completion, its usage and its request id', async () => {
    const { served } = await startBeforeSimulated(dialect);
    const completion = await connect(served).chat.completions.create(question('How many feet?'));
    expect(completion).toMatchObject({
      object: 'chat.completion',
      model: 'harbor-1',
      choices: [{ message: { role: 'assistant', content: ANSWER }, finish_reason: 'stop' }],
    });
    expect(completion.usage?.prompt_tokens).toBeGreaterThan(0);
    expect(completion._request_id).toBe(served.records[0]?.id);
  });

  test('builds the same completion from a stream', async () => {
    const { served } = await startBeforeSimulated(dialect);
    const final = await connect(served).chat.completions.stream(question('How many feet?')).finalChatCompletion();
    expect(final).toMatchObject({ model: 'harbor-1', choices: [{ message: { content: ANSWER }, finish_reason: 'stop' }] });
  });

  test.each([true, false])('is told usage in a stream when it asks for it, and only then (asked: %s)', async (isAsked) => {
    const { served } = await startBeforeSimulated(dialect);
    const chunks = await connect(served).chat.completions.create({
      ...question('How many feet?'),
      stream: true,
      ...(isAsked ? { stream_options: { include_usage: true } } : {}),
    });
    const usages = [];
    for await (const { usage, choices } of chunks) {
      if (usage) usages.push(usage.completion_tokens);
      else expect(choices).toHaveLength(1);
    }
    await until(() => served.records.length === 1, 'the record');
    expect(usages).toEqual(isAsked ? [served.records[0]?.tokens.output] : []);
    expect(served.records[0]?.tokens.estimated).toBe(false);
  });

  test.each([false, true])('gets two parallel tool calls with their arguments (streamed: %s)', async (isStream) => {
    const { served } = await startBeforeSimulated(dialect);
    const asked = { ...question('Use two tools.'), tools: CHAT_TOOLS };
    const { completions } = connect(served).chat;
    const completion = isStream ? await completions.stream(asked).finalChatCompletion() : await completions.create(asked);
    const calls = completion.choices[0]?.message.tool_calls ?? [];
    expect(callsOf(calls.flatMap((call) => (call.type === 'function' ? [call.function] : [])))).toEqual(EXPECTED_CALLS);
    expect(completion.choices[0]?.finish_reason).toBe('tool_calls');
  });

  test('gets a response, whole and streamed', async () => {
    const { served } = await startBeforeSimulated(dialect);
    const asked = { model: 'harbor-1', input: 'How many feet?', store: false };
    const { responses } = connect(served);
    const whole = await responses.create(asked);
    const streamed = await responses.stream(asked).finalResponse();
    for (const response of [whole, streamed])
      expect(response).toMatchObject({ object: 'response', status: 'completed', model: 'harbor-1', output_text: ANSWER });
    expect(whole.usage?.output_tokens).toBe(streamed.usage?.output_tokens);
  });

  test.each([false, true])('gets two function calls in a response (streamed: %s)', async (isStream) => {
    const { served } = await startBeforeSimulated(dialect);
    const asked = { model: 'harbor-1', input: 'Use two tools.', store: false, tools: RESPONSE_TOOLS };
    const { responses } = connect(served);
    const response = isStream ? await responses.stream(asked).finalResponse() : await responses.create(asked);
    expect(callsOf(response.output.flatMap((item) => (item.type === 'function_call' ? [item] : [])))).toEqual(EXPECTED_CALLS);
  });

  test('raises on a stream that broke, of completions and of responses', async () => {
    const { served } = await startBeforeSimulated(dialect);
    const client = connect(served);
    const drain = async (events: AsyncIterable<unknown>) => {
      for await (const _event of events);
    };
    const chunks = await client.chat.completions.create({ ...question('bad luck'), stream: true });
    await expect(drain(chunks)).rejects.toBeInstanceOf(OpenAI.APIError);
    const events = await client.responses.create({ model: 'harbor-1', input: 'bad luck', store: false, stream: true });
    await expect(drain(events)).rejects.toThrow(/broke off/);
  });

  test('stops the engine when its user aborts a stream', async () => {
    const { served, engine } = await startBeforeSimulated(dialect);
    const chunks = await connect(served).chat.completions.create({ ...question('wait for ever'), stream: true });
    for await (const _chunk of chunks) break; // leaving the loop aborts the request
    await until(() => engine.stats().open_work === 0 && engine.stats().requests_cancelled === 1, 'the engine was told');
  });
});

test('the OpenAI client lists the models, and finds one by its id', async () => {
  const { served } = await startBeforeSimulated('openai');
  const client = connect(served);
  const ids: string[] = [];
  for await (const { id } of client.models.list()) ids.push(id);
  expect(ids).toEqual(['harbor-1', 'harbor-2', 'harbor-3']);
  expect(await client.models.retrieve('harbor-2')).toMatchObject({ id: 'harbor-2', object: 'model' });
});

test.each([
  ['a wrong key', 401, 'AuthenticationError', { key: 'wrong' }, question('hi')],
  ['an unknown model', 404, 'NotFoundError', {}, { ...question('hi'), model: 'no-such-model' }],
  ['no messages', 400, 'BadRequestError', {}, { ...question('hi'), messages: undefined }],
  ['a body that is too large', 413, null, {}, question('x'.repeat(8_192))],
] as const)('the OpenAI client throws what its users catch: %s is a %i', async (_what, status, name, more, asked) => {
  const { served } = await startBeforeSimulated('openai', { bounds: { body_bytes: 4_096 } });
  const thrown: unknown = await connect(served, more)
    .chat.completions.create(asked as ReturnType<typeof question>)
    .catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(OpenAI.APIError);
  expect(thrown).toMatchObject({ status });
  expect((thrown as InstanceType<typeof OpenAI.APIError>).requestID).toMatch(/^req_/);
  if (name !== null) expect(thrown).toBeInstanceOf(OpenAI[name]);
});

describe('the OpenAI client before a replica of scripts', () => {
  const busy: Fault = { kind: 'http_error', status: 429, message: 'Busy', headers: { 'retry-after-ms': '40' } };
  const start = async () => {
    const replica = await createReplica({ host: '127.0.0.1', port: 0, upstreamKey: 'upstream-secret' });
    onTestFinished(() => replica.close());
    return { replica, served: await startGateway({ config: poolOf([{ url: replica.anthropicUrl }], { dialect: 'openai' }) }) };
  };

  test('tries a busy model again after the time it was told, and then has its answer', async () => {
    const { replica, served } = await start();
    const turn = replica.play((index) => (index === 0 ? { answer: say(''), fault: busy } : { answer: say('At last.') }));
    const completion = await connect(served, { maxRetries: 2 }).chat.completions.create(question(turn.marker));
    expect(completion.choices[0]?.message.content).toBe('At last.');
    expect(turn.seen).toHaveLength(2);
    expect(Number(turn.seen[1]?.atMs) - Number(turn.seen[0]?.atMs)).toBeGreaterThanOrEqual(39);
  });

  test('gives up after its retries, with InternalServerError and a request id', async () => {
    const { replica, served } = await start();
    const turn = replica.play({ answer: say(''), fault: busy });
    const thrown: unknown = await connect(served, { maxRetries: 2 })
      .chat.completions.create(question(turn.marker))
      .catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(OpenAI.InternalServerError);
    expect(thrown).toMatchObject({ status: 503, requestID: served.records[2]?.id });
    expect(served.records).toHaveLength(3);
  });

  test('does not try again what x-should-retry tells it not to', async () => {
    const { replica, served } = await start();
    const turn = replica.play({ answer: say(''), fault: { kind: 'http_error', status: 403, message: 'no' } });
    await expect(connect(served, { maxRetries: 2 }).chat.completions.create(question(turn.marker))).rejects.toMatchObject({
      status: 502,
    });
    expect(served.records).toHaveLength(1);
  });
});
