import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { AnswerEvent } from '#contracts/answer';
import type { Json } from '#contracts/prompt';
import { readStream, writeStream } from '../codec.conformance.ts';
import { collectAnswer } from '../whole-answer.ts';
import { anthropicCodec } from './codec.ts';
import { readCountTokensRequest } from './read-request.ts';

const fixture = (name: string) => readFileSync(new URL(`fixtures/${name}`, import.meta.url), 'utf8');

test('a stream with thinking, text and two tool calls is read in full', () => {
  const events = readStream(anthropicCodec, fixture('tools-and-thinking.sse'));
  expect(events.filter((event) => event.kind === 'ping')).toHaveLength(1);
  expect(collectAnswer(events)).toEqual({
    id: 'msg_01PX7sKtBzLQ5wKX',
    model: 'claude-sonnet-4-5-20250929',
    blocks: [
      { kind: 'thinking', text: 'The user wants the weather in two cities.', signature: 'EqQBCgIYAhIM1gbcDa9GJwZA2b3h' },
      { kind: 'text', text: 'Let me check — 東京 too.' },
      { kind: 'tool_call', id: 'toolu_01A', name: 'get_weather', arguments: '{"city": "Paris"}' },
      { kind: 'tool_call', id: 'toolu_01B', name: 'get_weather', arguments: '{"city": "Tokyo"}' },
    ],
    usage: { input: 472, cacheRead: 1024, cacheWrite: 0, output: 89, thinking: 21 },
    stop: { reason: 'tool_use' },
  });
});

test('a refusal keeps its category and explanation, and usage said as null is not usage of 0', () => {
  expect(collectAnswer(readStream(anthropicCodec, fixture('refusal.sse')))).toMatchObject({
    usage: { input: 564, output: 22 },
    stop: {
      reason: 'refusal',
      refusal: { category: 'bio', explanation: 'This request was declined by a safety classifier.' },
    },
  });
});

test('overload after the 200 is an error of status 529, and nothing follows it', () => {
  const events = readStream(anthropicCodec, `${fixture('overloaded.sse')}${fixture('overloaded.sse')}`);
  expect(events.map((event) => event.kind)).toEqual(['start', 'error']);
  expect(events.at(-1)).toEqual({ kind: 'error', error: { status: 529, type: 'overloaded_error', message: 'Overloaded' } });
});

const start = 'event: message_start\ndata: {"type":"message_start","message":{"id":"a","model":"m","usage":{}}}\n\n';
const block = (type: string) =>
  `event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"${type}"}}\n\n`;

test.each<[string, string, string]>([
  ['a second message_start', start + start, 'second message'],
  ['content before message_start', block('text'), 'did not begin with message_start'],
  [
    'a delta outside a block',
    `${start}event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}\n\n`,
    'outside its content block',
  ],
  ['a block of a kind we do not know', start + block('server_tool_use'), 'server_tool_use'],
  [
    'a thinking delta inside a text block',
    `${start}${block('text')}event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"x"}}\n\n`,
    'thinking_delta',
  ],
  [
    'an unknown stop reason',
    `${start}event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"bored"}}\n\n`,
    'bored',
  ],
  [
    'an end without a stop reason',
    `${start}event: message_stop\ndata: {"type":"message_stop"}\n\n`,
    'before the answer was complete',
  ],
  ['data that is not JSON', `${start}data: {"type":\n\n`, 'not a JSON object'],
])('a broken stream ends in an error: %s', (_, text, message) => {
  const last = readStream(anthropicCodec, text).at(-1);
  expect(last).toMatchObject({ kind: 'error', error: { status: 502 } });
  expect(last?.kind === 'error' && last.error.message).toContain(message);
});

test('events we do not know are passed over, as the versioning policy asks', () => {
  const events = readStream(anthropicCodec, `${start}event: news\ndata: {"type":"news"}\n\n${block('text')}`);
  expect(events.map((event) => event.kind)).toEqual(['start', 'block_start', 'error']);
});

test('a stream is written byte for byte as the API writes it', () => {
  const events: readonly AnswerEvent[] = [
    { kind: 'start', id: 'msg_1', model: 'x', usage: { input: 3, cacheRead: 5 } },
    { kind: 'block_start', index: 0, block: { kind: 'text' } },
    { kind: 'delta', index: 0, delta: { kind: 'text', text: 'Hi' } },
    { kind: 'block_end', index: 0 },
    { kind: 'stop', reason: 'end_turn' },
    { kind: 'usage', usage: { output: 2 } },
    { kind: 'end' },
  ];
  expect(writeStream(anthropicCodec, events).split('\n\n')).toEqual([
    'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"stop_details":null,"usage":{"input_tokens":3,"cache_creation_input_tokens":0,"cache_read_input_tokens":5,"output_tokens":0}}}',
    'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
    'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}',
    'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}',
    'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null,"stop_details":null},"usage":{"input_tokens":3,"cache_creation_input_tokens":0,"cache_read_input_tokens":5,"output_tokens":2}}',
    'event: message_stop\ndata: {"type":"message_stop"}',
    '',
  ]);
});

const hello = { role: 'user', content: 'hi' };
const asked = (fields: Record<string, Json>): Json => ({ model: 'm', max_tokens: 1, messages: [hello], ...fields });

test.each<[string, Json, string, string]>([
  ['a missing max_tokens', { model: 'm', messages: [hello] }, 'invalid_request', 'max_tokens'],
  ['an empty model', asked({ model: '' }), 'invalid_request', 'model'],
  ['no messages', asked({ messages: [] }), 'invalid_request', 'messages'],
  ['an unknown role', asked({ messages: [{ role: 'tool', content: 'x' }] }), 'invalid_request', 'messages.0.role'],
  [
    'a tool result in an assistant message',
    asked({ messages: [{ role: 'assistant', content: [{ type: 'tool_result', tool_use_id: 'a' }] }] }),
    'invalid_request',
    'messages.0.content.0',
  ],
  ['a field we do not know', asked({ context_management: {} }), 'unsupported_by_engine', 'context_management'],
  ['a container', asked({ container: 'c' }), 'unsupported_by_engine', 'container'],
  ['a place of inference', asked({ inference_geo: 'eu' }), 'unsupported_by_engine', 'inference_geo'],
  ['fast speed', asked({ speed: 'fast' }), 'unsupported_by_engine', 'speed'],
  [
    'a server tool',
    asked({ tools: [{ type: 'web_search_20250305', name: 'web_search' }] }),
    'unsupported_by_engine',
    'tools.0.type',
  ],
  [
    'examples of tool input',
    asked({ tools: [{ name: 't', input_schema: {}, input_examples: [{}] }] }),
    'unsupported_by_engine',
    'tools.0.input_examples',
  ],
  ['thinking between tools', asked({ thinking: { type: 'between_tools' } }), 'unsupported_by_engine', 'thinking.type'],
  [
    'citations',
    asked({
      messages: [
        { role: 'user', content: [{ type: 'document', source: { type: 'text', data: 'x' }, citations: { enabled: true } }] },
      ],
    }),
    'unsupported_by_engine',
    'messages.0.content.0.citations',
  ],
  [
    'a search result',
    asked({ messages: [{ role: 'user', content: [{ type: 'search_result' }] }] }),
    'unsupported_by_engine',
    'messages.0.content.0.type',
  ],
  [
    'a file of the Files API',
    asked({ messages: [{ role: 'user', content: [{ type: 'image', source: { type: 'file', file_id: 'f' } }] }] }),
    'unsupported_by_engine',
    'messages.0.content.0.source.type',
  ],
])('a request with %s is refused by name', (_, body, code, param) => {
  expect(anthropicCodec.readRequest(body)).toMatchObject({ ok: false, error: { code, param } });
});

test('what says nothing is taken: nulls, defaults and hints', () => {
  const body = asked({
    system: '',
    container: null,
    speed: 'standard',
    diagnostics: { previous_message_id: 'x' },
    tools: [
      {
        type: 'custom',
        name: 't',
        input_schema: {},
        defer_loading: false,
        eager_input_streaming: true,
        allowed_callers: ['direct'],
      },
    ],
    messages: [{ role: 'user', content: [{ type: 'text', text: 'a', citations: null, cache_control: null }] }],
  });
  expect(anthropicCodec.readRequest(body)).toEqual({
    ok: true,
    value: {
      model: 'm',
      system: [],
      turns: [{ role: 'user', parts: [{ kind: 'text', text: 'a' }] }],
      tools: [{ name: 't', schema: {} }],
      maxOutputTokens: 1,
      stopSequences: [],
      stream: false,
    },
  });
});

test('count_tokens takes the same body without max_tokens', () => {
  expect(readCountTokensRequest({ model: 'm', messages: [hello] })).toMatchObject({ ok: true, value: { model: 'm' } });
  expect(readCountTokensRequest({ model: 'm' })).toMatchObject({ ok: false, error: { param: 'messages' } });
});
