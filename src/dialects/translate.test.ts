import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { Stream as AnthropicStream } from '@anthropic-ai/sdk/core/streaming';
import { Stream as OpenaiStream } from 'openai/core/streaming';
import { describe, expect, test } from 'vitest';
import type { Json } from '#contracts/prompt';
import type { Dialect } from '#contracts/record';
import type { WriterOptions } from './codec.ts';
import { createAnswerTranslator, translateAnswer, translateError, translateRequest } from './translate.ts';

const options: WriterOptions = { model: 'harbor-1', includeUsage: true, createdAtS: 1_763_900_000 };
const fixture = (path: string) => readFileSync(new URL(path, import.meta.url));
const anthropicTools = fixture('anthropic/fixtures/tools-and-thinking.sse');
const openaiTools = fixture('openai-chat/fixtures/parallel-tools.sse');

interface Translation {
  readonly from: Dialect;
  readonly to: Dialect;
}
const toOpenai: Translation = { from: 'anthropic', to: 'openai_chat' };
const toAnthropic: Translation = { from: 'openai_chat', to: 'anthropic' };

function translated(translation: Translation, bytes: Uint8Array, more: Partial<WriterOptions> = {}) {
  const translator = createAnswerTranslator({ ...translation, options: { ...options, ...more } });
  const text = translator.push(bytes) + translator.end();
  return { text, progress: translator.progress };
}

/** What the official client makes of a stream. */
async function asClient<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}
const openaiClient = (text: string) => asClient(OpenaiStream.fromSSEResponse<Json>(new Response(text), new AbortController()));
const anthropicClient = (text: string) =>
  asClient(AnthropicStream.fromSSEResponse<Json>(new Response(text), new AbortController()));

describe('streams', () => {
  test('an Anthropic answer reaches an OpenAI client with its calls, thinking and usage', async () => {
    const { text, progress } = translated(toOpenai, anthropicTools);
    const chunks = await openaiClient(text);
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
    expect(chunks.at(-1)).toMatchObject({
      usage: { prompt_tokens: 1496, completion_tokens: 89, prompt_tokens_details: { cached_tokens: 1024 } },
    });
    expect(JSON.stringify(chunks)).toContain('"finish_reason":"tool_calls"');
    expect(JSON.stringify(chunks)).toContain('"model":"harbor-1"');
    expect(JSON.stringify(chunks)).not.toContain('claude');
    expect(progress).toMatchObject({
      hasContent: true,
      isComplete: true,
      hasFinalUsage: true,
      error: null,
      stopReason: 'tool_use',
      usage: { input: 472, cacheRead: 1024, output: 89, thinking: 21 },
    });
  });

  test('an OpenAI answer reaches an Anthropic client as one message with two tool uses', async () => {
    const { text, progress } = translated(toAnthropic, openaiTools);
    const events = await anthropicClient(text);
    expect(events.at(-1)).toMatchObject({ type: 'message_stop' });
    expect(events.at(-2)).toMatchObject({
      delta: { stop_reason: 'tool_use' },
      usage: { input_tokens: 162, cache_read_input_tokens: 1024, output_tokens: 52 },
    });
    expect(events.filter((event) => JSON.stringify(event).includes('"tool_use"'))).toHaveLength(3);
    expect(progress).toMatchObject({ isComplete: true, usage: { input: 162, cacheRead: 1024, output: 52 } });
  });

  test('usage is known though the client did not ask for it, and it is not told', () => {
    const { text, progress } = translated(toOpenai, anthropicTools, { includeUsage: false });
    expect(text).not.toContain('usage');
    expect(progress.usage.output).toBe(89);
  });

  test.each([toOpenai, toAnthropic])('any split of the bytes gives the same text: $from to $to', (translation) => {
    const bytes = translation === toOpenai ? anthropicTools : openaiTools;
    const { text } = translated(translation, bytes);
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 30 }), (cuts) => {
        const translator = createAnswerTranslator({ ...translation, options });
        const at = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
        const pieces = at.slice(1).map((to, index) => translator.push(bytes.subarray(at[index], to)));
        expect(pieces.join('') + translator.end()).toBe(text);
      }),
    );
  });

  test.each([toOpenai, toAnthropic])(
    'a stream cut anywhere ends in one error for the client, never in a clean end: $from to $to',
    async (translation) => {
      const bytes = translation === toOpenai ? anthropicTools : openaiTools;
      // OpenAI's finish reason makes an answer whole; before it, and before message_stop, it is not.
      const whole = bytes.indexOf(translation === toOpenai ? 'message_stop' : 'finish_reason":"tool_calls');
      for (let cut = 0; cut < whole; cut += 37) {
        const { text, progress } = translated(translation, bytes.subarray(0, cut));
        expect(progress).toMatchObject({ isComplete: false, error: { status: 502 } });
        expect(text).not.toMatch(/\[DONE\]|message_stop/);
        expect(text.match(/"error":\{/g)).toHaveLength(1);
      }
      const { text } = translated(translation, bytes.subarray(0, whole - 100));
      await expect(translation === toOpenai ? openaiClient(text) : anthropicClient(text)).rejects.toThrow(
        /before the answer was complete|not a JSON/,
      );
    },
  );

  test('overload after the 200 is known before content has begun', () => {
    const { progress, text } = translated(toOpenai, fixture('anthropic/fixtures/overloaded.sse'));
    expect(progress).toMatchObject({ hasContent: false, error: { status: 529, message: 'Overloaded' } });
    expect(text).toContain('overloaded_error');
  });

  test('an event that is too long ends the answer instead of filling memory', () => {
    const translator = createAnswerTranslator({ ...toOpenai, options }, 1000);
    const text =
      translator.push(anthropicTools.subarray(0, 900)) + translator.push(new TextEncoder().encode(`data: ${'x'.repeat(2000)}`));
    expect(translator.progress.error).toMatchObject({ status: 502 });
    expect(text).toContain('too long');
    expect(translator.push(anthropicTools) + translator.end()).toBe('');
  });

  test('a refusal survives both ways', () => {
    const back = translated(toAnthropic, fixture('openai-chat/fixtures/refusal.sse'));
    expect(back.text).toContain('I cannot assist with that.');
    expect(back.text).toContain('"stop_reason":"refusal"');
    const filtered = translated(toAnthropic, fixture('openai-chat/fixtures/azure-filtered.sse'));
    expect(filtered.text).toContain('"stop_reason":"refusal"');
    const forth = translated(toOpenai, fixture('anthropic/fixtures/refusal.sse'));
    expect(forth.text).toContain('"finish_reason":"content_filter"');
    expect(forth.text).toContain('"refusal":"This request was declined by a safety classifier."');
  });
});

describe('requests', () => {
  const hello = { role: 'user', content: 'hi' };

  test('an OpenAI engine is told its own name for the model, asked for usage, and given the cap under the name it knows', () => {
    const body = { model: 'harbor-1', max_tokens: 9, stream: true, system: 'Be brief.', messages: [hello] };
    const request = translateRequest({ from: 'anthropic', to: 'openai_chat', body, model: 'org/70b' });
    expect(request).toMatchObject({
      ok: true,
      value: {
        body: {
          model: 'org/70b',
          messages: [{ role: 'system', content: 'Be brief.' }, hello],
          max_tokens: 9,
          stream: true,
          stream_options: { include_usage: true },
        },
        prompt: { model: 'harbor-1' },
      },
    });
    const renamed = translateRequest({
      from: 'anthropic',
      to: 'openai_chat',
      body,
      model: 'gpt-5',
      capField: 'max_completion_tokens',
    });
    expect(renamed).toMatchObject({ ok: true, value: { body: { max_completion_tokens: 9 } } });
    expect(renamed.ok && 'max_tokens' in renamed.value.body).toBe(false);
  });

  test('a conversation with tools and an image goes from OpenAI to Anthropic and back unchanged', () => {
    const body = {
      model: 'm',
      messages: [
        { role: 'system', content: 'Be brief.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
          ],
        },
        {
          role: 'assistant',
          content: 'I look.',
          tool_calls: [{ id: 'a', type: 'function', function: { name: 'look', arguments: '{"at":"it"}' } }],
        },
        { role: 'tool', tool_call_id: 'a', content: 'A cat' },
        { role: 'user', content: 'So?' },
      ],
      max_tokens: 20,
      temperature: 0.5,
      stop: ['END'],
      tools: [
        { type: 'function', function: { name: 'look', description: 'Looks', parameters: { type: 'object' }, strict: true } },
      ],
      tool_choice: 'required',
      parallel_tool_calls: false,
      reasoning_effort: 'low',
      safety_identifier: 'u1',
    };
    const there = translateRequest({ from: 'openai_chat', to: 'anthropic', body, model: 'm' });
    expect(there).toMatchObject({
      ok: true,
      value: {
        body: {
          system: 'Be brief.',
          tool_choice: { type: 'any', disable_parallel_tool_use: true },
          output_config: { effort: 'low' },
          metadata: { user_id: 'u1' },
          stop_sequences: ['END'],
        },
      },
    });
    if (there.ok)
      expect(translateRequest({ from: 'anthropic', to: 'openai_chat', body: there.value.body, model: 'm' })).toMatchObject({
        ok: true,
        value: { body },
      });
  });

  test.each<[string, Record<string, Json>, string]>([
    ['top_k', { top_k: 5 }, 'top_k'],
    ['a thinking budget', { thinking: { type: 'enabled', budget_tokens: 1024 } }, 'thinking.budget_tokens'],
    ['thinking to be kept back', { thinking: { type: 'adaptive', display: 'omitted' } }, 'thinking.display'],
    ['effort without thinking', { thinking: { type: 'disabled' }, output_config: { effort: 'low' } }, 'output_config.effort'],
    ['five stop sequences', { stop_sequences: ['1', '2', '3', '4', '5'] }, 'stop_sequences'],
    [
      'signed thinking',
      { messages: [{ role: 'assistant', content: [{ type: 'thinking', thinking: 'x', signature: 's' }] }] },
      'messages.0.content.0',
    ],
    [
      'redacted thinking',
      { messages: [{ role: 'assistant', content: [{ type: 'redacted_thinking', data: 'x' }] }] },
      'messages.0.content.0',
    ],
    [
      'a document by URL',
      { messages: [{ role: 'user', content: [{ type: 'document', source: { type: 'url', url: 'https://x' } }] }] },
      'messages.0.content.0.source',
    ],
    [
      'an image from a tool',
      {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'tool_result', tool_use_id: 'a', content: [{ type: 'image', source: { type: 'url', url: 'https://x' } }] },
            ],
          },
        ],
      },
      'messages.0.content.0',
    ],
    [
      'text after a tool call',
      {
        messages: [
          {
            role: 'assistant',
            content: [
              { type: 'tool_use', id: 'a', name: 'f', input: {} },
              { type: 'text', text: 'x' },
            ],
          },
        ],
      },
      'messages.0.content',
    ],
    [
      'a tool result after text',
      {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'x' },
              { type: 'tool_result', tool_use_id: 'a' },
            ],
          },
        ],
      },
      'messages.0.content',
    ],
  ])('an OpenAI engine cannot be told %s, and the client hears it by name', (_, fields, param) => {
    const body = { model: 'm', max_tokens: 1, messages: [hello], ...fields };
    expect(translateRequest({ from: 'anthropic', to: 'openai_chat', body, model: 'm' })).toMatchObject({
      ok: false,
      error: { code: 'unsupported_by_engine', param },
    });
  });

  test.each<[string, Record<string, Json>, string]>([
    ['a seed', { seed: 1 }, 'seed'],
    ['a presence penalty', { presence_penalty: 0.5 }, 'presence_penalty'],
    ['a frequency penalty', { frequency_penalty: 0.5 }, 'frequency_penalty'],
    ['a temperature above 1', { temperature: 1.5 }, 'temperature'],
    ['JSON without a schema', { response_format: { type: 'json_object' } }, 'response_format'],
    ['minimal effort', { reasoning_effort: 'minimal' }, 'reasoning_effort'],
    ['another service tier', { service_tier: 'flex' }, 'service_tier'],
    [
      'arguments that are not JSON',
      {
        messages: [
          { role: 'assistant', tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{"x":' } }] },
        ],
      },
      'messages.0.content.0',
    ],
  ])('an Anthropic engine cannot be told %s, and the client hears it by name', (_, fields, param) => {
    const body = { model: 'm', messages: [hello], ...fields };
    expect(translateRequest({ from: 'openai_chat', to: 'anthropic', body, model: 'm' })).toMatchObject({
      ok: false,
      error: { code: 'unsupported_by_engine', param },
    });
  });

  test('an Anthropic engine, which requires a cap, gets 4096 where the client set none', () => {
    const request = translateRequest({
      from: 'openai_chat',
      to: 'anthropic',
      body: { model: 'm', messages: [hello] },
      model: 'm',
    });
    expect(request).toMatchObject({ ok: true, value: { body: { max_tokens: 4096 } } });
  });

  test('penalties of 0 ask for nothing and are let go', () => {
    const body = { model: 'm', messages: [hello], presence_penalty: 0, frequency_penalty: 0 };
    expect(translateRequest({ from: 'openai_chat', to: 'anthropic', body, model: 'm' })).toMatchObject({ ok: true });
  });

  test.each<[string, Json, Json]>([
    [
      'a failed tool is marked in words',
      { type: 'tool_result', tool_use_id: 'a', content: 'no such city', is_error: true },
      {
        role: 'tool',
        tool_call_id: 'a',
        content: 'Error:\nno such city',
      },
    ],
    [
      'a text document is text',
      { type: 'document', title: 'T', context: 'C', source: { type: 'text', media_type: 'text/plain', data: 'D' } },
      { role: 'user', content: [{ type: 'text', text: 'T\n\nC\n\nD' }] },
    ],
    [
      'a PDF is a file',
      { type: 'document', title: 'a.pdf', source: { type: 'base64', media_type: 'application/pdf', data: 'AA==' } },
      { role: 'user', content: [{ type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,AA==' } }] },
    ],
    [
      'a cache mark is a hint and is let go',
      { type: 'text', text: 'x', cache_control: { type: 'ephemeral' } },
      { role: 'user', content: [{ type: 'text', text: 'x' }] },
    ],
  ])('to an OpenAI engine, %s', (_, block, message) => {
    const body = { model: 'm', max_tokens: 1, messages: [{ role: 'user', content: [block] }] };
    const request = translateRequest({ from: 'anthropic', to: 'openai_chat', body, model: 'm' });
    expect(request).toMatchObject({ ok: true });
    const messages = request.ok ? JSON.stringify(request.value.body.messages) : '';
    // One text is written as a string; both say the same.
    expect([
      JSON.stringify([message]),
      JSON.stringify([message]).replace(/\[\{"type":"text","text":("[^"]*")\}\]/, '$1'),
    ]).toContain(messages);
  });

  test('thinking that nobody signed goes back and forth', () => {
    const body = {
      model: 'm',
      max_tokens: 1,
      messages: [
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'Hm', signature: '' },
            { type: 'text', text: 'x' },
          ],
        },
      ],
    };
    const request = translateRequest({ from: 'anthropic', to: 'openai_chat', body, model: 'm' });
    expect(request).toMatchObject({
      ok: true,
      value: { body: { messages: [{ role: 'assistant', content: 'x', reasoning_content: 'Hm' }] } },
    });
  });
});

describe('whole answers and errors', () => {
  test('a whole completion becomes a whole message, and its usage is known', () => {
    const body = {
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 1,
      model: 'org/70b',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Hi', refusal: null, annotations: [] },
          logprobs: null,
          finish_reason: 'length',
        },
      ],
      usage: { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12, prompt_tokens_details: { cached_tokens: 4 } },
    };
    const answer = translateAnswer({ ...toAnthropic, body, options });
    expect(answer).toMatchObject({
      ok: true,
      value: {
        body: {
          id: 'chatcmpl-1',
          type: 'message',
          model: 'harbor-1',
          content: [{ type: 'text', text: 'Hi' }],
          stop_reason: 'max_tokens',
          usage: { input_tokens: 6, cache_read_input_tokens: 4, output_tokens: 2 },
        },
        progress: { isComplete: true, usage: { input: 6, cacheRead: 4, output: 2 }, stopReason: 'max_tokens' },
      },
    });
    expect(translateAnswer({ ...toAnthropic, body: { id: 'x' }, options })).toMatchObject({
      ok: false,
      error: { code: 'upstream_broken' },
    });
  });

  test('arguments that the cap cut off are never taken for whole ones', () => {
    const call = { id: 'a', type: 'function', function: { name: 'f', arguments: '{"x":' } };
    const body = {
      id: 'c',
      model: 'm',
      choices: [{ index: 0, message: { role: 'assistant', content: null, tool_calls: [call] }, finish_reason: 'length' }],
    };
    expect(translateAnswer({ ...toAnthropic, body, options })).toMatchObject({
      ok: true,
      value: { body: { content: [{ type: 'tool_use', input: '{"x":' }], stop_reason: 'max_tokens' } },
    });
  });

  test('an engine’s error is told in the client’s envelope', () => {
    const body = { error: { message: 'Too long', type: 'BadRequestError', param: null, code: 400 } };
    const { body: text, error } = translateError({ to: 'anthropic', status: 400, body, requestId: 'req_1' });
    expect(JSON.parse(text)).toEqual({
      type: 'error',
      error: { type: 'invalid_request_error', message: 'Too long' },
      request_id: 'req_1',
    });
    expect(error).toEqual({ status: 400, type: 'BadRequestError', message: 'Too long' });
  });
});
