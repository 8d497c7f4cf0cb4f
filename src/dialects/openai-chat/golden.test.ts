import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { AnswerEvent } from '#contracts/answer';
import type { Json, JsonObject } from '#contracts/prompt';
import { readStream, writeStream } from '../codec.conformance.ts';
import { collectAnswer } from '../whole-answer.ts';
import { openaiChatCodec } from './codec.ts';

const fixture = (name: string) => readFileSync(new URL(`fixtures/${name}`, import.meta.url), 'utf8');

test('parallel tool calls with streamed arguments are read in full, cached tokens apart from fresh ones', () => {
  expect(collectAnswer(readStream(openaiChatCodec, fixture('parallel-tools.sse')))).toEqual({
    id: 'chatcmpl-C1',
    model: 'gpt-5.1-2025-11-13',
    blocks: [
      { kind: 'tool_call', id: 'call_A', name: 'get_weather', arguments: '{"city":"Paris"}' },
      { kind: 'tool_call', id: 'call_B', name: 'get_weather', arguments: '{"city":"東京"}' },
    ],
    usage: { input: 162, cacheRead: 1024, output: 52, thinking: 12 },
    stop: { reason: 'tool_use' },
  });
});

test('reasoning as vLLM sends it is thinking, and its stop sequence is known', () => {
  const text = fixture('vllm-reasoning.sse');
  const whole = {
    blocks: [
      { kind: 'thinking', text: 'Two plus two.' },
      { kind: 'text', text: 'Four' },
    ],
    usage: { input: 20, output: 11 },
    stop: { reason: 'stop_sequence', stopSequence: '###' },
  };
  expect(collectAnswer(readStream(openaiChatCodec, text))).toMatchObject(whole);
  // Newer versions call the field reasoning.
  expect(collectAnswer(readStream(openaiChatCodec, text.replaceAll('reasoning_content', 'reasoning')))).toMatchObject(whole);
});

test('a refusal in words and a filtered answer are both refusals', () => {
  expect(collectAnswer(readStream(openaiChatCodec, fixture('refusal.sse')))).toMatchObject({
    blocks: [{ kind: 'refusal', text: "I'm sorry, I cannot assist with that." }],
    stop: { reason: 'refusal' },
  });
  expect(collectAnswer(readStream(openaiChatCodec, fixture('azure-filtered.sse')))).toMatchObject({
    id: 'chatcmpl-Z',
    blocks: [{ kind: 'text', text: 'Once' }],
    stop: { reason: 'refusal' },
  });
});

const chunk = (choice: JsonObject): string =>
  `data: ${JSON.stringify({ id: 'c', model: 'm', choices: [{ index: 0, ...choice }] })}\n\n`;
const calls = (...pieces: JsonObject[]): string => chunk({ delta: { tool_calls: pieces } });
const done = 'data: [DONE]\n\n';
const finish = (reason: string): string => chunk({ delta: {}, finish_reason: reason });

test.each<[string, string, string]>([
  [
    'pieces of an earlier call',
    calls({ index: 0, function: { name: 'a' } }) +
      calls({ index: 1, function: { name: 'b' } }) +
      calls({ index: 0, function: { arguments: '{}' } }),
    'mixed the pieces',
  ],
  ['a call without a name', calls({ index: 0, function: { arguments: '{}' } }), 'without a name'],
  ['a custom call', calls({ index: 0, type: 'custom', custom: { name: 'x' } }), 'not a function'],
  ['a second choice', chunk({ index: 1, delta: { content: 'x' } }), 'more than one choice'],
  ['an unknown finish reason', finish('insufficient_system_resource'), 'insufficient_system_resource'],
  ['content after the finish reason', finish('stop') + chunk({ delta: { content: 'x' } }), 'after its finish reason'],
  ['[DONE] without a finish reason', chunk({ delta: { content: 'x' } }) + done, 'before the answer was complete'],
  ['no [DONE] and no finish reason', chunk({ delta: { content: 'x' } }), 'before the answer was complete'],
  ['a chunk that is not JSON', 'data: {"id":\n\n', 'not a JSON object'],
])('a broken stream ends in an error: %s', (_, text, message) => {
  const last = readStream(openaiChatCodec, text).at(-1);
  expect(last).toMatchObject({ kind: 'error', error: { status: 502 } });
  expect(last?.kind === 'error' && last.error.message).toContain(message);
});

test.each<[string, string, JsonObject]>([
  ['OpenAI', '{"error":{"message":"m","type":"server_error","param":null,"code":null}}', { status: 500, type: 'server_error' }],
  ['OpenAI out of quota', '{"error":{"message":"m","type":"insufficient_quota","code":"insufficient_quota"}}', { status: 429 }],
  ['vLLM', '{"error":{"message":"m","type":"BadRequestError","param":null,"code":400}}', { status: 400 }],
  ['older vLLM', '{"object":"error","message":"m","type":"InternalServerError","param":null,"code":500}', { status: 500 }],
  ['Ollama', '{"error":"m"}', { status: 500 }],
])('an error chunk of %s ends the answer', (_, data, error) => {
  const events = readStream(openaiChatCodec, chunk({ delta: { content: 'x' } }) + `data: ${data}\n\n` + finish('stop') + done);
  expect(events.at(-1)).toMatchObject({ kind: 'error', error: { message: 'm', ...error } });
  expect(events.filter((event) => event.kind === 'end')).toEqual([]);
});

test('servers that leave out ids, indices or [DONE] are understood', () => {
  const text =
    calls({ function: { name: 'a', arguments: '{}' } }) +
    calls({ function: { name: 'b', arguments: '{"x":' } }) +
    calls({ function: { arguments: '1}' } }) +
    finish('stop');
  expect(collectAnswer(readStream(openaiChatCodec, text))).toMatchObject({
    blocks: [
      { id: 'call_0_c', name: 'a', arguments: '{}' },
      { id: 'call_1_c', name: 'b', arguments: '{"x":1}' },
    ],
    stop: { reason: 'tool_use' },
  });
});

test('a stream is written chunk by chunk as the API writes it', () => {
  const events: readonly AnswerEvent[] = [
    { kind: 'start', id: 'c', model: 'x', usage: {} },
    { kind: 'block_start', index: 0, block: { kind: 'thinking' } },
    { kind: 'delta', index: 0, delta: { kind: 'thinking', text: 'Hm' } },
    { kind: 'delta', index: 0, delta: { kind: 'signature', signature: 's' } },
    { kind: 'block_end', index: 0 },
    { kind: 'block_start', index: 1, block: { kind: 'tool_call', id: 'call_A', name: 'f' } },
    { kind: 'block_end', index: 1 },
    { kind: 'stop', reason: 'tool_use' },
    { kind: 'usage', usage: { input: 3, cacheRead: 5, output: 2, thinking: 1 } },
    { kind: 'end' },
  ];
  const frames = writeStream(openaiChatCodec, events)
    .split('\n\n')
    .map((frame) => frame.slice('data: '.length));
  expect(frames.at(-2)).toBe('[DONE]');
  const parsed = frames.slice(0, -2).map((data) => JSON.parse(data));
  expect(parsed[0]).toEqual({
    id: 'c',
    object: 'chat.completion.chunk',
    created: 1_700_000_000,
    model: 'm',
    choices: [{ index: 0, delta: { role: 'assistant', content: '', refusal: null }, logprobs: null, finish_reason: null }],
    usage: null,
  });
  expect(parsed.slice(1, -1).map(({ choices: [choice] }) => [choice.delta, choice.finish_reason])).toEqual([
    [{ reasoning_content: 'Hm' }, null],
    [{ tool_calls: [{ index: 0, id: 'call_A', type: 'function', function: { name: 'f', arguments: '' } }] }, null],
    [{ tool_calls: [{ index: 0, function: { arguments: '{}' } }] }, null],
    [{}, 'tool_calls'],
  ]);
  expect(parsed.at(-1)).toMatchObject({
    choices: [],
    usage: {
      prompt_tokens: 8,
      completion_tokens: 2,
      total_tokens: 10,
      prompt_tokens_details: { cached_tokens: 5 },
      completion_tokens_details: { reasoning_tokens: 1 },
    },
  });
});

const hello: Json = { role: 'user', content: 'hi' };
const asked = (fields: Record<string, Json>): Json => ({ model: 'm', messages: [hello], ...fields });

test.each<[string, Json, string, string]>([
  ['two different caps', asked({ max_tokens: 1, max_completion_tokens: 2 }), 'invalid_request', 'max_tokens'],
  ['no messages', asked({ messages: [] }), 'invalid_request', 'messages'],
  [
    'an assistant who says nothing',
    asked({ messages: [{ role: 'assistant', content: null }] }),
    'invalid_request',
    'messages.0.content',
  ],
  [
    'a data URI that is not base64',
    asked({ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/svg+xml,<svg/>' } }] }] }),
    'invalid_request',
    'messages.0.content.0.image_url.url',
  ],
  ['more than one choice', asked({ n: 2 }), 'unsupported_by_engine', 'n'],
  ['log probabilities', asked({ logprobs: true }), 'unsupported_by_engine', 'logprobs'],
  ['a bias on tokens', asked({ logit_bias: { 5: 1 } }), 'unsupported_by_engine', 'logit_bias'],
  ['storage', asked({ store: true }), 'unsupported_by_engine', 'store'],
  ['audio', asked({ modalities: ['text', 'audio'] }), 'unsupported_by_engine', 'modalities'],
  ['moderation', asked({ moderation: { model: 'x' } }), 'unsupported_by_engine', 'moderation'],
  ['web search', asked({ web_search_options: {} }), 'unsupported_by_engine', 'web_search_options'],
  ['functions from before tools', asked({ functions: [] }), 'unsupported_by_engine', 'functions'],
  [
    'padding of the stream',
    asked({ stream_options: { include_obfuscation: true } }),
    'unsupported_by_engine',
    'stream_options.include_obfuscation',
  ],
  ['a custom tool', asked({ tools: [{ type: 'custom', custom: { name: 'x' } }] }), 'unsupported_by_engine', 'tools.0.type'],
  [
    'allowed tools',
    asked({ tool_choice: { type: 'allowed_tools', allowed_tools: {} } }),
    'unsupported_by_engine',
    'tool_choice.type',
  ],
  [
    'a named participant',
    asked({ messages: [{ role: 'user', name: 'ann', content: 'x' }] }),
    'unsupported_by_engine',
    'messages.0.name',
  ],
  [
    'sound',
    asked({ messages: [{ role: 'user', content: [{ type: 'input_audio' }] }] }),
    'unsupported_by_engine',
    'messages.0.content.0.type',
  ],
  [
    'an uploaded file',
    asked({
      messages: [
        { role: 'user', content: [{ type: 'file', file: { file_id: 'f', file_data: 'data:application/pdf;base64,AA==' } }] },
      ],
    }),
    'unsupported_by_engine',
    'messages.0.content.0.file.file_id',
  ],
])('a request with %s is refused by name', (_, body, code, param) => {
  expect(openaiChatCodec.readRequest(body)).toMatchObject({ ok: false, error: { code, param } });
});

test('system and developer messages that stand first are the system; tool messages join the answer that follows', () => {
  const body = asked({
    n: 1,
    logprobs: false,
    store: false,
    logit_bias: {},
    metadata: { team: 'x' },
    prompt_cache_key: 'k',
    max_completion_tokens: 9,
    user: 'old',
    safety_identifier: 'new',
    stop: 'END',
    tools: [{ type: 'function', function: { name: 'now' } }],
    messages: [
      { role: 'developer', content: 'Be brief.' },
      { role: 'system', content: [{ type: 'text', text: 'And kind.' }] },
      hello,
      {
        role: 'assistant',
        content: '',
        annotations: [],
        tool_calls: [{ id: 'a', type: 'function', function: { name: 'now', arguments: '' } }],
      },
      { role: 'tool', tool_call_id: 'a', content: 'noon' },
      hello,
      { role: 'developer', content: 'Now in French.' },
    ],
  });
  expect(openaiChatCodec.readRequest(body)).toEqual({
    ok: true,
    value: {
      model: 'm',
      system: [
        { kind: 'text', text: 'Be brief.' },
        { kind: 'text', text: 'And kind.' },
      ],
      turns: [
        { role: 'user', parts: [{ kind: 'text', text: 'hi' }] },
        { role: 'assistant', parts: [{ kind: 'tool_call', id: 'a', name: 'now', arguments: '' }] },
        {
          role: 'user',
          parts: [
            { kind: 'tool_result', callId: 'a', parts: [{ kind: 'text', text: 'noon' }] },
            { kind: 'text', text: 'hi' },
          ],
        },
        { role: 'system', parts: [{ kind: 'text', text: 'Now in French.' }] },
      ],
      tools: [{ name: 'now', schema: { type: 'object', properties: {} } }],
      maxOutputTokens: 9,
      stopSequences: ['END'],
      endUser: 'new',
      stream: false,
    },
  });
});
