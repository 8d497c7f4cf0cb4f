import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterEach, describe, expect, test } from 'vitest';
import { createSystemClock, createSystemRandom } from '#runtime';
import { createSimulatedGenerator } from './generator.ts';
import { PROFILES } from './profiles.ts';
import type { ScriptRule } from './script.ts';
import { createEngineServer, type EngineServer, type EngineServerStats } from './server.ts';

/** Quick enough for a test on real time: a token a millisecond. */
const QUICK = { ...PROFILES.small.profile, prefillBaseUs: 1000, prefillTokenNs: 0, decodeBaseUs: 1000, decodeSequenceNs: 0 };
const opened: EngineServer[] = [];

async function setUp(dialect: 'anthropic' | 'openai', rules: readonly ScriptRule[] = []): Promise<EngineServer> {
  const clock = createSystemClock();
  const generator = createSimulatedGenerator({ clock, profile: QUICK, seed: 5, rules });
  const server = await createEngineServer({
    generator,
    dialect,
    clock,
    random: createSystemRandom(),
    port: 0,
    models: ['sim-1', 'sim-2'],
  });
  opened.push(server);
  return server;
}
afterEach(async () => {
  for (const server of opened.splice(0)) await server.close();
});

const statsOf = async (server: EngineServer): Promise<EngineServerStats> =>
  (await (await fetch(`http://127.0.0.1:${server.port}/_/stats`)).json()) as EngineServerStats;

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 5000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error('what was waited for did not come in five seconds');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const anthropic = (server: EngineServer, apiKey = 'k') => new Anthropic({ baseURL: server.url, apiKey, maxRetries: 0 });
const openai = (server: EngineServer) => new OpenAI({ baseURL: server.url, apiKey: 'k', maxRetries: 0 });
const ASK = { model: 'sim-1', max_tokens: 64, messages: [{ role: 'user' as const, content: 'hello' }] };

describe('the Anthropic SDK', () => {
  test('gets whole answers, streams, counts and models', async () => {
    const server = await setUp('anthropic');
    const client = anthropic(server);
    const whole = await client.messages.create(ASK);
    const streamed = await client.messages.stream(ASK).finalMessage();
    expect(streamed.content).toEqual(whole.content);
    expect(whole.content[0]).toMatchObject({ type: 'text', text: expect.stringContaining('This is simulated text') });
    const counted = await client.messages.countTokens({ model: 'sim-1', messages: ASK.messages });
    expect(counted.input_tokens).toBe(whole.usage.input_tokens);
    const ids: string[] = [];
    for await (const model of client.models.list()) ids.push(model.id);
    expect(ids).toEqual(['sim-1', 'sim-2']);
  });

  test('calls tools and hands back their results', async () => {
    const server = await setUp('anthropic');
    const tools = [
      {
        name: 'get_tide',
        input_schema: { type: 'object' as const, properties: { hour: { type: 'integer' } }, required: ['hour'] },
      },
    ];
    const message = await anthropic(server)
      .messages.stream({ ...ASK, tools, tool_choice: { type: 'any' } })
      .finalMessage();
    expect(message.stop_reason).toBe('tool_use');
    const [call] = message.content;
    expect(call).toMatchObject({ type: 'tool_use', name: 'get_tide', input: { hour: expect.any(Number) } });
    const messages: Anthropic.MessageParam[] = [
      ...ASK.messages,
      { role: 'assistant', content: message.content },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: (call as Anthropic.ToolUseBlock).id, content: 'high' }] },
    ];
    expect((await anthropic(server).messages.create({ ...ASK, max_tokens: 1000, tools, messages })).stop_reason).toBe('end_turn');
  });

  test('sees scripted failures as the errors they are', async () => {
    const server = await setUp('anthropic', [
      { when: { nth: 1 }, do: { kind: 'http_error', status: 429, retry_after_s: 2 } },
      { when: { nth: 2 }, do: { kind: 'stream_error', after_tokens: 1 } },
      { when: { nth: 3 }, do: { kind: 'break', after_tokens: 1 } },
      { when: { nth: 4 }, do: { kind: 'break' } },
    ]);
    const client = anthropic(server);
    const limited = await client.messages.create(ASK).catch((error: unknown) => error);
    expect(limited).toBeInstanceOf(Anthropic.RateLimitError);
    expect((limited as InstanceType<typeof Anthropic.RateLimitError>).headers?.get('retry-after')).toBe('2');
    await expect(client.messages.stream(ASK).finalMessage()).rejects.toThrow(/overloaded_error|Simulated failure/);
    await expect(client.messages.stream(ASK).finalMessage()).rejects.toThrow();
    await expect(client.messages.create(ASK)).rejects.toBeInstanceOf(Anthropic.APIConnectionError);
    expect(await statsOf(server)).toMatchObject({ requests_begun: 4, requests_failed: 4, open_work: 0 });
  });

  test('reads a prefix from the cache under its own key only', async () => {
    const server = await setUp('anthropic');
    const long = { ...ASK, messages: [{ role: 'user' as const, content: 'The tide comes in. '.repeat(40) }] };
    const reads: (number | null)[] = [];
    for (const key of ['one', 'one', 'two'])
      reads.push((await anthropic(server, key).messages.create(long)).usage.cache_read_input_tokens);
    expect([reads[0], reads[2]]).toEqual([0, 0]);
    expect(reads[1]).toBeGreaterThan(100);
  });
});

test('the OpenAI SDK gets whole answers, streams with usage, tools and models', async () => {
  const server = await setUp('openai');
  const client = openai(server);
  const whole = await client.chat.completions.create(ASK);
  const stream = await client.chat.completions.create({ ...ASK, stream: true, stream_options: { include_usage: true } });
  let text = '';
  let usage: OpenAI.CompletionUsage | null | undefined;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? '';
    usage = chunk.usage ?? usage;
  }
  expect(text).toBe(whole.choices[0]?.message.content);
  expect(usage?.completion_tokens).toBe(whole.usage?.completion_tokens);
  const tools = [
    {
      type: 'function' as const,
      function: {
        name: 'get_tide',
        parameters: { type: 'object', properties: { hour: { type: 'integer' } }, required: ['hour'] },
      },
    },
  ];
  const called = await client.chat.completions.create({ ...ASK, tools, tool_choice: 'required' });
  expect(called.choices[0]?.finish_reason).toBe('tool_calls');
  const ids: string[] = [];
  for await (const model of client.models.list()) ids.push(model.id);
  expect(ids).toEqual(['sim-1', 'sim-2']);
});

test('when the socket closes the work stops at once, streamed or not, and while the first token is awaited', async () => {
  const server = await setUp('anthropic', [
    { do: { kind: 'answer', tokens: 100_000 } },
    { when: { contains: 'stall' }, do: { kind: 'stall' } },
  ]);
  for (const [stream, content] of [
    [true, 'x'],
    [false, 'x'],
    [true, 'stall'],
  ] as const) {
    const body = JSON.stringify({ model: 'sim-1', max_tokens: 100_000, stream, messages: [{ role: 'user', content }] });
    const request = httpRequest({ host: '127.0.0.1', port: server.port, path: '/v1/messages', method: 'POST' });
    request.on('error', () => undefined);
    request.end(body);
    if (stream && content === 'x') await once(request, 'response');
    await until(async () => (await statsOf(server)).open_work === 1);
    request.destroy();
    await until(async () => (await statsOf(server)).open_work === 0);
  }
  const stats = await statsOf(server);
  expect(stats).toMatchObject({
    requests_begun: 3,
    requests_cancelled: 3,
    open_streams: 0,
    tokens_generated_after_client_left: 0,
    blocks_used: 0,
  });
  expect(stats.last_cancel_delay_ms).toBeLessThan(100);
  await until(async () => (await statsOf(server)).tokens_generated === stats.tokens_generated);
});

test('an engine scripted to ignore its client says how much it wasted', async () => {
  const server = await setUp('anthropic', [{ do: [{ kind: 'answer', tokens: 200 }, { kind: 'ignore_cancellation' }] }]);
  const client = new AbortController();
  const stream = await anthropic(server).messages.create({ ...ASK, max_tokens: 400, stream: true }, { signal: client.signal });
  for await (const event of stream) if (event.type === 'content_block_delta') client.abort();
  await until(async () => (await statsOf(server)).open_work === 0);
  expect((await statsOf(server)).tokens_generated_after_client_left).toBeGreaterThan(20);
});

test.each([
  ['POST', '/v1/chat/completions', 404],
  ['POST', '/nowhere', 404],
  ['GET', '/v1/messages', 404],
  ['GET', '/__proto__', 404],
  ['DELETE', '/health', 404],
  ['GET', '/health', 200],
])('%s %s is answered with %i', async (method, path, status) => {
  const server = await setUp('anthropic');
  expect((await fetch(`http://127.0.0.1:${server.port}${path}`, { method })).status).toBe(status);
});

test('a body over 32 MB is refused without being kept', async () => {
  const server = await setUp('anthropic');
  const response = await fetch(`${server.url}/v1/messages`, { method: 'POST', body: Buffer.alloc(33 * 1024 * 1024, 0x20) });
  expect(response.status).toBe(413);
  expect(await response.json()).toMatchObject({ type: 'error', error: { type: 'request_too_large' } });
});
