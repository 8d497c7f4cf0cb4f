import { readFileSync } from 'node:fs';
import Anthropic from '@anthropic-ai/sdk';
import AnthropicBefore1 from 'anthropic-sdk-0';
import OpenAI from 'openai';
import { expect, test } from 'vitest';
import { refusal } from '#contracts/errors';
import type { Dialect } from '#contracts/record';
import { writeErrorBody, writeErrorEvent } from './errors.ts';
import { createAnswerTranslator } from './translate.ts';

/** A server that answers with `body`, as the clients see one. */
const answers =
  (body: string, status = 200) =>
  () =>
    Promise.resolve(
      new Response(body, {
        status,
        headers: {
          'content-type': status === 200 ? 'text/event-stream' : 'application/json',
          'request-id': 'req_1',
          'x-should-retry': 'false',
        },
      }),
    );

function translate(from: Dialect, to: Dialect, path: string): string {
  const options = { model: 'harbor-1', includeUsage: true, createdAtS: 1_763_900_000 };
  const translator = createAnswerTranslator({ from, to, options });
  return translator.push(readFileSync(new URL(path, import.meta.url))) + translator.end();
}

const message = { model: 'harbor-1', max_tokens: 9, messages: [{ role: 'user' as const, content: 'hi' }] };
const anthropicClients = [
  ['1.x', (fetch: typeof globalThis.fetch) => new Anthropic({ apiKey: 'k', fetch, maxRetries: 0 })],
  [
    '0.x',
    (fetch: typeof globalThis.fetch) => new AnthropicBefore1({ apiKey: 'k', fetch, maxRetries: 0 }) as unknown as Anthropic,
  ],
] as const;
const openai = (fetch: typeof globalThis.fetch) => new OpenAI({ apiKey: 'k', fetch, maxRetries: 0 });

test.each(anthropicClients)('the Anthropic client %s builds a message from an OpenAI engine’s stream', async (_, client) => {
  const text = translate('openai_chat', 'anthropic', 'openai-chat/fixtures/parallel-tools.sse');
  const final = await client(answers(text)).messages.stream(message).finalMessage();
  expect(final).toMatchObject({
    id: 'chatcmpl-C1',
    model: 'harbor-1',
    stop_reason: 'tool_use',
    content: [
      { type: 'tool_use', id: 'call_A', name: 'get_weather', input: { city: 'Paris' } },
      { type: 'tool_use', id: 'call_B', name: 'get_weather', input: { city: '東京' } },
    ],
    usage: { input_tokens: 162, cache_read_input_tokens: 1024, output_tokens: 52 },
  });
});

test.each(anthropicClients)('the Anthropic client %s builds thinking and text from a vLLM stream', async (_, client) => {
  const text = translate('openai_chat', 'anthropic', 'openai-chat/fixtures/vllm-reasoning.sse');
  const final = await client(answers(text)).messages.stream(message).finalMessage();
  expect(final).toMatchObject({
    content: [
      { type: 'thinking', thinking: 'Two plus two.', signature: '' },
      { type: 'text', text: 'Four' },
    ],
    stop_reason: 'stop_sequence',
    stop_sequence: '###',
  });
});

test('the OpenAI client builds a completion from an Anthropic engine’s stream', async () => {
  const text = translate('anthropic', 'openai_chat', 'anthropic/fixtures/tools-and-thinking.sse');
  const stream = openai(answers(text)).chat.completions.stream({
    model: 'harbor-1',
    messages: [{ role: 'user', content: 'hi' }],
  });
  const final = await stream.finalChatCompletion();
  expect(final).toMatchObject({
    id: 'msg_01PX7sKtBzLQ5wKX',
    model: 'harbor-1',
    choices: [
      {
        finish_reason: 'tool_calls',
        message: {
          content: 'Let me check — 東京 too.',
          tool_calls: [
            { id: 'toolu_01A', function: { name: 'get_weather', arguments: '{"city": "Paris"}' } },
            { id: 'toolu_01B', function: { name: 'get_weather', arguments: '{"city": "Tokyo"}' } },
          ],
        },
      },
    ],
    usage: { prompt_tokens: 1496, completion_tokens: 89 },
  });
});

test.each(anthropicClients)('the Anthropic client %s raises on the event that ends a broken stream', async (_, client) => {
  const begun = translate('openai_chat', 'anthropic', 'openai-chat/fixtures/vllm-reasoning.sse').split('event: message_delta')[0];
  const text = begun + writeErrorEvent('anthropic', refusal('upstream_broken', 'It broke.'), 'req_1');
  await expect(client(answers(text)).messages.stream(message).finalMessage()).rejects.toThrow('It broke.');
});

test('the OpenAI client raises on the chunk that ends a broken stream', async () => {
  const begun = translate('anthropic', 'openai_chat', 'anthropic/fixtures/refusal.sse').replace('data: [DONE]\n\n', '');
  const text = begun + writeErrorEvent('openai_chat', refusal('upstream_broken', 'It broke.'), 'req_1');
  const stream = openai(answers(text)).chat.completions.stream({
    model: 'harbor-1',
    messages: [{ role: 'user', content: 'hi' }],
  });
  await expect(stream.finalChatCompletion()).rejects.toThrow('It broke.');
});

test.each([
  ['unauthenticated', 401, 'AuthenticationError'],
  ['forbidden', 403, 'PermissionDeniedError'],
  ['model_not_found', 404, 'NotFoundError'],
  ['invalid_request', 400, 'BadRequestError'],
  ['rate_limited', 429, 'RateLimitError'],
  ['internal', 500, 'InternalServerError'],
] as const)('a refusal %s is the exception of status %i in every client: %s', async (code, status, name) => {
  const problem = refusal(code, 'Words.', { param: 'messages' });
  const anthropicBody = writeErrorBody('anthropic', problem, 'req_1');
  for (const [, client] of anthropicClients) {
    const failed: unknown = await client(answers(anthropicBody, status))
      .messages.create(message)
      .catch((error: unknown) => error);
    expect(failed).toMatchObject({ status, requestID: 'req_1' });
    expect((failed as Error).constructor.name).toBe(name);
    expect(failed).toHaveProperty('message', expect.stringContaining('Words.'));
  }
  const failed: unknown = await openai(answers(writeErrorBody('openai_chat', problem, 'req_1'), status))
    .chat.completions.create({ model: 'm', messages: [] })
    .catch((error: unknown) => error);
  expect(failed).toMatchObject({ status, param: 'messages' });
  expect((failed as Error).constructor.name).toBe(name);
  expect(failed).toHaveProperty('message', expect.stringContaining('Words.'));
});
