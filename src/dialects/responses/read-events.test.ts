import { expect, test } from 'vitest';
import type { AnswerEvent } from '#contracts/answer';
import type { JsonObject } from '#contracts/prompt';
import { collectAnswer } from '../whole-answer.ts';
import { responsesCodec } from './responses-codec.ts';

const begun = {
  type: 'response.created',
  response: { id: 'resp_1', model: 'm', status: 'in_progress', output: [], usage: null },
};
const completed = { type: 'response.completed', response: { id: 'resp_1', model: 'm', status: 'completed', output: [] } };
const message = (index: number): JsonObject => ({
  type: 'response.output_item.added',
  output_index: index,
  item: { id: `msg_${index}`, type: 'message', role: 'assistant', content: [] },
});

function read(events: readonly JsonObject[]): readonly AnswerEvent[] {
  const reader = responsesCodec.createEventReader();
  return [...events.flatMap((event) => reader.read('', JSON.stringify(event))), ...reader.end()];
}

test('a server that says everything only in its last event is read from there', () => {
  const output = [
    { type: 'reasoning', id: 'rs_1', summary: [] },
    { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'Hi', annotations: [] }] },
    { type: 'function_call', call_id: 'c', name: 'now', arguments: '{}' },
  ];
  expect(collectAnswer(read([begun, { ...completed, response: { ...completed.response, output } }]))).toMatchObject({
    id: '1',
    blocks: [
      { kind: 'text', text: 'Hi' },
      { kind: 'tool_call', id: 'c', name: 'now', arguments: '{}' },
    ],
    stop: { reason: 'tool_use' },
  });
});

test('a server that sends no deltas, or no part events, is read from what it does send', () => {
  const events = read([
    begun,
    message(0),
    { type: 'response.output_text.done', output_index: 0, text: 'One' },
    { type: 'response.output_text.done', output_index: 0, text: 'One' },
    {
      type: 'response.output_item.done',
      output_index: 0,
      item: { type: 'message', content: [{ type: 'output_text', text: 'One' }] },
    },
    {
      type: 'response.output_item.added',
      output_index: 1,
      item: { type: 'function_call', call_id: 'c', name: 'now', arguments: '' },
    },
    {
      type: 'response.output_item.done',
      output_index: 1,
      item: { type: 'function_call', call_id: 'c', name: 'now', arguments: '{}' },
    },
    message(2),
    { type: 'response.output_text.delta', output_index: 2, delta: 'Two' },
    completed,
  ]);
  expect(collectAnswer(events).blocks).toEqual([
    { kind: 'text', text: 'One' },
    { kind: 'tool_call', id: 'c', name: 'now', arguments: '{}' },
    { kind: 'text', text: 'Two' },
  ]);
});

test('the parts of one reasoning item are one block, joined by an empty line, streamed or whole', () => {
  const item = {
    type: 'reasoning',
    id: 'rs_1',
    summary: [
      { type: 'summary_text', text: 'First.' },
      { type: 'summary_text', text: 'Second.' },
    ],
    encrypted_content: 'c2ln',
  };
  const at = { item_id: 'rs_1', output_index: 0 };
  const streamed = read([
    begun,
    { type: 'response.output_item.added', output_index: 0, item: { type: 'reasoning', id: 'rs_1', summary: [] } },
    { type: 'response.reasoning_summary_part.added', ...at, part: { type: 'summary_text', text: '' } },
    { type: 'response.reasoning_summary_text.delta', ...at, delta: 'First.' },
    { type: 'response.reasoning_summary_text.done', ...at, text: 'First.' },
    { type: 'response.reasoning_summary_part.added', ...at, part: { type: 'summary_text', text: '' } },
    { type: 'response.reasoning_summary_text.done', ...at, text: 'Second.' },
    { type: 'response.output_item.done', output_index: 0, item },
    completed,
  ]);
  const whole = responsesCodec.readAnswer({ ...completed.response, output: [item] });
  expect(collectAnswer(streamed).blocks).toEqual([{ kind: 'thinking', text: 'First.\n\nSecond.', signature: 'c2ln' }]);
  expect(whole.ok && collectAnswer(whole.value)).toEqual(collectAnswer(streamed));
});

test('reasoning that a server shows as content is one block too, its parts done or not', () => {
  const at = { item_id: 'rs_1', output_index: 0 };
  const part = { type: 'reasoning_text', text: '' };
  const events = read([
    begun,
    { type: 'response.output_item.added', output_index: 0, item: { type: 'reasoning', id: 'rs_1', summary: [] } },
    { type: 'response.content_part.added', ...at, content_index: 0, part },
    { type: 'response.reasoning_text.delta', ...at, content_index: 0, delta: 'First.' },
    { type: 'response.content_part.done', ...at, content_index: 0, part },
    { type: 'response.content_part.added', ...at, content_index: 1, part },
    { type: 'response.reasoning_text.delta', ...at, content_index: 1, delta: 'Second.' },
    { type: 'response.output_item.done', output_index: 0, item: { type: 'reasoning', id: 'rs_1', summary: [] } },
    completed,
  ]);
  expect(collectAnswer(events).blocks).toEqual([{ kind: 'thinking', text: 'First.\n\nSecond.', signature: '' }]);
});

test('a done event without content makes no delta, and a ping before the start makes no event', () => {
  const events = read([
    { type: 'keepalive' },
    begun,
    { type: 'keepalive' },
    message(0),
    { type: 'response.output_text.done', output_index: 0, text: '' },
    completed,
  ]);
  expect(events.map((event) => event.kind)).toEqual(['start', 'ping', 'block_start', 'block_end', 'stop', 'end']);
});

test('a server that counts more cached tokens than tokens is believed as far as the total goes', () => {
  const usage = { input_tokens: 10, input_tokens_details: { cached_tokens: 14, cache_write_tokens: 3 }, output_tokens: 2.5 };
  expect(read([begun, { ...completed, response: { ...completed.response, usage } }])).toContainEqual({
    kind: 'usage',
    usage: { input: 0, cacheRead: 10, cacheWrite: 0 },
  });
});

test.each([
  [
    'an item of a built-in tool',
    { type: 'response.output_item.added', output_index: 0, item: { type: 'web_search_call' } },
    'web_search_call',
  ],
  ['a piece of an item that was not begun', { type: 'response.output_text.delta', output_index: 3, delta: 'x' }, 'began last'],
  ['an end without its response', { type: 'response.completed' }, 'without its response'],
])('%s is an error, not a gap', (_, event, words) => {
  const error = read([begun, message(1), event, completed]).at(-1);
  expect(error).toMatchObject({ kind: 'error', error: { status: 502 } });
  expect(JSON.stringify(error)).toContain(words);
});

test('events of two items that are mixed are an error, since blocks may not overlap', () => {
  const delta = (index: number): JsonObject => ({ type: 'response.output_text.delta', output_index: index, delta: 'x' });
  expect(read([begun, message(0), delta(0), message(1), delta(1), delta(0), completed]).at(-1)).toMatchObject({ kind: 'error' });
});

test.each([
  [{ type: 'error', code: 'rate_limit_exceeded', message: 'Slow down.', param: null }, 429, 'rate_limit_exceeded'],
  [{ type: 'error', error: { type: 'tokens', code: 'slow_down', message: 'Slow down.' } }, 503, 'slow_down'],
  [{ type: 'error', error: { type: 'invalid_request_error', code: null, message: 'Slow down.' } }, 400, 'invalid_request_error'],
  [
    { type: 'response.failed', response: { id: 'resp_1', error: { code: 'server_error', message: 'Slow down.' } } },
    500,
    'server_error',
  ],
])('%j ends an answer in an error', (event, status, type) => {
  expect(read([begun, event, completed]).at(-1)).toEqual({ kind: 'error', error: { status, type, message: 'Slow down.' } });
});

test('a stream may end in [DONE], as some servers of this API do, and nothing after its end counts', () => {
  const reader = responsesCodec.createEventReader();
  for (const event of [begun, completed]) reader.read('', JSON.stringify(event));
  expect([...reader.read('', '[DONE]'), ...reader.read('', JSON.stringify(completed)), ...reader.end()]).toEqual([]);
});

test.each([
  ['max_output_tokens', { reason: 'max_output_tokens' }, 'max_tokens'],
  ['max_messages', { reason: 'max_messages' }, 'max_tokens'],
  ['content_filter', { reason: 'content_filter' }, 'refusal'],
  ['no reason', null, 'pause_turn'],
])('a response that is incomplete for %s stops an answer that way', (_, incomplete_details, reason) => {
  const response = { ...completed.response, status: 'incomplete', incomplete_details };
  expect(read([begun, { type: 'response.incomplete', response }]).slice(-2)).toEqual([{ kind: 'stop', reason }, { kind: 'end' }]);
});
