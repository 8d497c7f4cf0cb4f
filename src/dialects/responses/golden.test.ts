import { expect, test } from 'vitest';
import type { AnswerEvent } from '#contracts/answer';
import type { Json, JsonObject, Part, Prompt } from '#contracts/prompt';
import { responsesCodec } from './responses-codec.ts';

const options = { model: 'harbor-1', includeUsage: true, createdAtS: 1_700_000_000 };

const answer: readonly AnswerEvent[] = [
  { kind: 'start', id: 'msg_01A', model: 'org/harbor-70b', usage: { input: 8, cacheRead: 64 } },
  { kind: 'block_start', index: 0, block: { kind: 'thinking' } },
  { kind: 'delta', index: 0, delta: { kind: 'thinking', text: 'Look it up.' } },
  { kind: 'delta', index: 0, delta: { kind: 'signature', signature: 'c2ln' } },
  { kind: 'block_end', index: 0 },
  { kind: 'block_start', index: 1, block: { kind: 'text' } },
  { kind: 'delta', index: 1, delta: { kind: 'text', text: 'One ' } },
  { kind: 'delta', index: 1, delta: { kind: 'text', text: 'moment.' } },
  { kind: 'block_end', index: 1 },
  { kind: 'block_start', index: 2, block: { kind: 'tool_call', id: 'call_9', name: 'tide' } },
  { kind: 'delta', index: 2, delta: { kind: 'arguments', json: '{"port":' } },
  { kind: 'delta', index: 2, delta: { kind: 'arguments', json: '"Hull"}' } },
  { kind: 'block_end', index: 2 },
  { kind: 'usage', usage: { output: 30, thinking: 5 } },
  { kind: 'stop', reason: 'tool_use' },
  { kind: 'end' },
];

function frames(text: string): JsonObject[] {
  return text
    .split('\n\n')
    .filter((frame) => frame.startsWith('event:'))
    .map((frame) => JSON.parse(frame.slice(frame.indexOf('\ndata: ') + 7)) as JsonObject);
}

function write(events: readonly AnswerEvent[]): string {
  const writer = responsesCodec.createEventWriter(options);
  return events.map((event) => writer.write(event)).join('');
}

test('a stream has the event order of the official API, numbered from 0, with the type on the event line', () => {
  const text = write(answer);
  const names = [...text.matchAll(/^event: (.*)$/gm)].map(([, name]) => name);
  expect(names).toEqual([
    'response.created',
    'response.in_progress',
    'response.output_item.added',
    'response.reasoning_summary_part.added',
    'response.reasoning_summary_text.delta',
    'response.reasoning_summary_text.done',
    'response.reasoning_summary_part.done',
    'response.output_item.done',
    'response.output_item.added',
    'response.content_part.added',
    'response.output_text.delta',
    'response.output_text.delta',
    'response.output_text.done',
    'response.content_part.done',
    'response.output_item.done',
    'response.output_item.added',
    'response.function_call_arguments.delta',
    'response.function_call_arguments.delta',
    'response.function_call_arguments.done',
    'response.output_item.done',
    'response.completed',
  ]);
  const data = frames(text);
  expect(data.map((event) => event.type)).toEqual(names);
  expect(data.map((event) => event.sequence_number)).toEqual(names.map((_, index) => index));
});

test('the frames of a text block carry what the official types ask of them', () => {
  expect(frames(write(answer)).slice(8, 15)).toEqual([
    {
      type: 'response.output_item.added',
      sequence_number: 8,
      output_index: 1,
      item: { id: 'msg_01A_1', type: 'message', status: 'in_progress', role: 'assistant', content: [] },
    },
    {
      type: 'response.content_part.added',
      sequence_number: 9,
      item_id: 'msg_01A_1',
      output_index: 1,
      content_index: 0,
      part: { type: 'output_text', annotations: [], logprobs: [], text: '' },
    },
    {
      type: 'response.output_text.delta',
      sequence_number: 10,
      item_id: 'msg_01A_1',
      output_index: 1,
      content_index: 0,
      delta: 'One ',
      logprobs: [],
    },
    {
      type: 'response.output_text.delta',
      sequence_number: 11,
      item_id: 'msg_01A_1',
      output_index: 1,
      content_index: 0,
      delta: 'moment.',
      logprobs: [],
    },
    {
      type: 'response.output_text.done',
      sequence_number: 12,
      item_id: 'msg_01A_1',
      output_index: 1,
      content_index: 0,
      text: 'One moment.',
      logprobs: [],
    },
    {
      type: 'response.content_part.done',
      sequence_number: 13,
      item_id: 'msg_01A_1',
      output_index: 1,
      content_index: 0,
      part: { type: 'output_text', annotations: [], logprobs: [], text: 'One moment.' },
    },
    {
      type: 'response.output_item.done',
      sequence_number: 14,
      output_index: 1,
      item: {
        id: 'msg_01A_1',
        type: 'message',
        status: 'completed',
        role: 'assistant',
        content: [{ type: 'output_text', annotations: [], logprobs: [], text: 'One moment.' }],
      },
    },
  ]);
});

test('a whole answer is a full Response object, and the same that ends its stream', () => {
  const whole = responsesCodec.writeAnswer(answer, options);
  expect(whole).toEqual({
    id: 'resp_01A',
    object: 'response',
    created_at: 1_700_000_000,
    background: false,
    status: 'completed',
    incomplete_details: null,
    error: null,
    model: 'harbor-1',
    output: [
      {
        id: 'rs_01A_0',
        type: 'reasoning',
        summary: [{ type: 'summary_text', text: 'Look it up.' }],
        encrypted_content: 'c2ln',
      },
      {
        id: 'msg_01A_1',
        type: 'message',
        status: 'completed',
        role: 'assistant',
        content: [{ type: 'output_text', annotations: [], logprobs: [], text: 'One moment.' }],
      },
      {
        id: 'fc_01A_2',
        type: 'function_call',
        status: 'completed',
        arguments: '{"port":"Hull"}',
        call_id: 'call_9',
        name: 'tide',
      },
    ],
    instructions: null,
    max_output_tokens: null,
    parallel_tool_calls: true,
    temperature: null,
    text: { format: { type: 'text' } },
    tool_choice: 'auto',
    tools: [],
    top_p: null,
    reasoning: { effort: null, summary: null },
    previous_response_id: null,
    store: false,
    truncation: 'disabled',
    usage: {
      input_tokens: 72,
      input_tokens_details: { cached_tokens: 64, cache_write_tokens: 0 },
      output_tokens: 30,
      output_tokens_details: { reasoning_tokens: 5 },
      total_tokens: 102,
    },
    metadata: null,
  });
  expect(frames(write(answer)).at(-1)?.response).toEqual(whole);
});

test('an answer echoes the settings of its request, and says store: false', () => {
  const request = read({
    model: 'harbor-1',
    input: 'When is high tide?',
    instructions: 'Be brief.',
    tools: [{ type: 'function', name: 'tide', parameters: { type: 'object' }, strict: true }],
    tool_choice: 'required',
    temperature: 0.5,
    max_output_tokens: 100,
    reasoning: { effort: 'low' },
    text: { format: { type: 'json_object' } },
    safety_identifier: 'user-7',
  });
  expect(responsesCodec.writeAnswer(answer, { ...options, request })).toMatchObject({
    instructions: 'Be brief.',
    tools: [{ type: 'function', name: 'tide', parameters: { type: 'object' }, strict: true }],
    tool_choice: 'required',
    temperature: 0.5,
    max_output_tokens: 100,
    reasoning: { effort: 'low', summary: null },
    text: { format: { type: 'json_object' } },
    safety_identifier: 'user-7',
    store: false,
  });
});

const cutShort = (stop: Omit<Extract<AnswerEvent, { kind: 'stop' }>, 'kind'>, block: 'text' | 'refusal' = 'text') => [
  { kind: 'start' as const, id: 'x', model: 'm', usage: {} },
  { kind: 'block_start' as const, index: 0, block: { kind: block } },
  { kind: 'delta' as const, index: 0, delta: { kind: block, text: 'I' } },
  { kind: 'block_end' as const, index: 0 },
  { kind: 'stop' as const, ...stop },
  { kind: 'end' as const },
];

test.each([
  { stop: { reason: 'end_turn' }, status: 'completed', details: null },
  { stop: { reason: 'stop_sequence', stopSequence: '###' }, status: 'completed', details: null },
  { stop: { reason: 'max_tokens' }, status: 'incomplete', details: { reason: 'max_output_tokens' } },
  { stop: { reason: 'context_window' }, status: 'incomplete', details: { reason: 'max_output_tokens' } },
  { stop: { reason: 'refusal' }, status: 'incomplete', details: { reason: 'content_filter' } },
  { stop: { reason: 'pause_turn' }, status: 'incomplete', details: null },
  {
    stop: { reason: 'refusal', refusal: { category: 'bio', explanation: null } },
    status: 'incomplete',
    details: { reason: 'content_filter', refusal: { category: 'bio', explanation: null } },
  },
] as const)('an answer that stops for $stop.reason is $status, streamed or whole', ({ stop, status, details }) => {
  const whole = responsesCodec.writeAnswer(cutShort(stop), options);
  expect([whole.status, whole.incomplete_details]).toEqual([status, details]);
  expect((whole.output as JsonObject[])[0]?.status).toBe(status);
  const last = frames(write(cutShort(stop))).at(-1);
  expect([last?.type, last?.response]).toEqual([`response.${status}`, whole]);
});

test('only the item that was cut is incomplete', () => {
  const cut: readonly AnswerEvent[] = [...answer.slice(0, -2), { kind: 'stop', reason: 'max_tokens' }, { kind: 'end' }];
  const output = responsesCodec.writeAnswer(cut, options).output as JsonObject[];
  expect(output.map((item) => item.status)).toEqual([undefined, 'completed', 'incomplete']);
});

test('a refusal that was put in words is a completed answer with refusal content', () => {
  const whole = responsesCodec.writeAnswer(cutShort({ reason: 'refusal' }, 'refusal'), options);
  expect([whole.status, (whole.output as JsonObject[])[0]?.content]).toEqual(['completed', [{ type: 'refusal', refusal: 'I' }]]);
});

test('an error ends a stream in one error event, and makes a whole answer a failed one', () => {
  const begun: readonly AnswerEvent[] = [
    ...answer.slice(0, 7),
    { kind: 'error', error: { status: 529, type: 'overloaded_error', message: 'Busy.' } },
  ];
  const text = write([...begun, { kind: 'end' }]);
  expect(frames(text).at(-1)).toEqual({
    type: 'error',
    sequence_number: 11,
    code: 'server_is_overloaded',
    message: 'Busy.',
    param: null,
  });
  const whole = responsesCodec.writeAnswer(begun, options);
  expect([whole.status, whole.error]).toEqual(['failed', { code: 'server_is_overloaded', message: 'Busy.' }]);
  expect((whole.output as JsonObject[]).map((item) => item.status)).toEqual([undefined, 'incomplete']);
});

test('a call without arguments gets an empty object, streamed or whole', () => {
  const call: readonly AnswerEvent[] = [
    { kind: 'start', id: 'x', model: 'm', usage: {} },
    { kind: 'block_start', index: 0, block: { kind: 'tool_call', id: 'c', name: 'now' } },
    { kind: 'block_end', index: 0 },
    { kind: 'stop', reason: 'tool_use' },
    { kind: 'end' },
  ];
  expect(responsesCodec.writeAnswer(call, options).output).toMatchObject([{ arguments: '{}' }]);
  const deltas = frames(write(call)).filter((event) => event.type === 'response.function_call_arguments.delta');
  expect(deltas.map((event) => event.delta)).toEqual(['{}']);
});

test('every way the official API writes a conversation becomes the same turns', () => {
  expect(
    read({
      model: 'harbor-1',
      instructions: 'Be brief.',
      input: [
        { role: 'developer', content: 'No jargon.' },
        { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Tide?' }] },
        { role: 'user', content: [{ type: 'input_image', image_url: 'data:image/png;base64,AAAA', detail: 'low' }] },
        { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'Look.' }], encrypted_content: 'c2ln' },
        {
          type: 'message',
          id: 'msg_1',
          status: 'completed',
          role: 'assistant',
          content: [{ type: 'output_text', text: 'A moment.', annotations: [] }],
        },
        { type: 'function_call', id: 'fc_1', call_id: 'call_9', name: 'tide', arguments: '{}', status: 'completed' },
        { type: 'function_call_output', call_id: 'call_9', output: '5 m' },
        { role: 'user', content: 'So?' },
        { role: 'assistant', content: [{ type: 'refusal', refusal: 'No.' }] },
        { role: 'system', content: 'Be kind.' },
      ],
    }),
  ).toEqual({
    model: 'harbor-1',
    system: [
      { kind: 'text', text: 'Be brief.' },
      { kind: 'text', text: 'No jargon.' },
    ],
    turns: [
      {
        role: 'user',
        parts: [
          { kind: 'text', text: 'Tide?' },
          { kind: 'image', source: { kind: 'base64', mediaType: 'image/png', data: 'AAAA' }, detail: 'low' },
        ],
      },
      {
        role: 'assistant',
        parts: [
          { kind: 'thinking', text: 'Look.', signature: 'c2ln' },
          { kind: 'text', text: 'A moment.' },
          { kind: 'tool_call', id: 'call_9', name: 'tide', arguments: '{}' },
        ],
      },
      {
        role: 'user',
        parts: [
          { kind: 'tool_result', callId: 'call_9', parts: [{ kind: 'text', text: '5 m' }] },
          { kind: 'text', text: 'So?' },
        ],
      },
      { role: 'assistant', parts: [{ kind: 'refusal', text: 'No.' }] },
      { role: 'system', parts: [{ kind: 'text', text: 'Be kind.' }] },
    ],
    tools: [],
    stopSequences: [],
    stream: false,
  });
});

test.each([
  [{ reasoning: { effort: 'low' } }, { kind: 'effort', effort: 'low' }],
  [{ reasoning: { effort: 'low', summary: 'auto' } }, { kind: 'adaptive', display: 'summarized', effort: 'low' }],
  [{ reasoning: { effort: 'none', summary: 'auto' } }, { kind: 'effort', effort: 'none' }],
  [{ reasoning: { summary: 'concise' } }, { kind: 'adaptive', display: 'summarized' }],
  [{ reasoning: {} }, { kind: 'adaptive' }],
  [{ reasoning: { effort: null, summary: null } }, undefined],
  [{ reasoning: null }, undefined],
])('%j asks for %j', (fields, thinking) => {
  expect(read({ model: 'm', input: 'x', ...fields }).thinking).toEqual(thinking);
});

test('what asks for nothing that is not given is accepted', () => {
  const accepted = {
    store: false,
    background: false,
    previous_response_id: null,
    conversation: null,
    truncation: 'disabled',
    include: ['reasoning.encrypted_content'],
    metadata: { conversation_id: 'c-1' },
    prompt_cache_key: 'k',
    max_tool_calls: 3,
    top_logprobs: 0,
    stream_options: { include_obfuscation: false },
    text: { verbosity: 'medium' },
  };
  expect(responsesCodec.readRequest({ model: 'm', input: 'x', ...accepted }).ok).toBe(true);
});

test.each<[field: string, code: string, fields: Json]>([
  ['store', 'unsupported_by_engine', { store: true }],
  ['store', 'invalid_request', { store: 'yes' }],
  ['background', 'unsupported_by_engine', { background: true }],
  ['previous_response_id', 'unsupported_by_engine', { previous_response_id: 'resp_1', input: null }],
  ['conversation', 'unsupported_by_engine', { conversation: { id: 'conv_1' } }],
  ['conversation', 'unsupported_by_engine', { conversation: 'conv_1' }],
  ['prompt', 'unsupported_by_engine', { prompt: { id: 'pmpt_1' } }],
  ['moderation', 'unsupported_by_engine', { moderation: { model: 'm' } }],
  ['truncation', 'unsupported_by_engine', { truncation: 'auto' }],
  ['include.0', 'unsupported_by_engine', { include: ['message.output_text.logprobs'] }],
  ['stream_options.include_obfuscation', 'unsupported_by_engine', { stream_options: { include_obfuscation: true } }],
  ['tools.0.type', 'unsupported_by_engine', { tools: [{ type: 'web_search' }] }],
  ['tools.0.name', 'invalid_request', { tools: [{ type: 'function' }] }],
  ['tool_choice.type', 'unsupported_by_engine', { tool_choice: { type: 'allowed_tools', mode: 'auto', tools: [] } }],
  ['tool_choice', 'invalid_request', { tool_choice: 'maybe' }],
  ['input', 'invalid_request', { input: 7 }],
  ['input.0.type', 'unsupported_by_engine', { input: [{ type: 'computer_call' }] }],
  ['input.0', 'unsupported_by_engine', { input: [{ type: 'item_reference', id: 'msg_1' }] }],
  ['input.0.role', 'invalid_request', { input: [{ role: 'robot', content: 'x' }] }],
  ['input.0.content.0.type', 'unsupported_by_engine', { input: [{ role: 'user', content: [{ type: 'input_audio' }] }] }],
  [
    'input.0.content.0.file_id',
    'unsupported_by_engine',
    { input: [{ role: 'user', content: [{ type: 'input_image', file_id: 'f' }] }] },
  ],
  [
    'input.0.content.0.image_url',
    'invalid_request',
    { input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'data:x' }] }] },
  ],
  ['max_output_tokens', 'invalid_request', { max_output_tokens: 0 }],
  ['text.verbosity', 'unsupported_by_engine', { text: { verbosity: 'high' } }],
  ['user', 'invalid_request', { user: 'a', safety_identifier: 'b' }],
  ['speed', 'unsupported_by_engine', { speed: 'fast' }],
  [
    'tools.0.allowed_callers',
    'unsupported_by_engine',
    { tools: [{ type: 'function', name: 'f', allowed_callers: ['programmatic'] }] },
  ],
  ['tools.0.async', 'unsupported_by_engine', { tools: [{ type: 'function', name: 'f', async: true }] }],
  [
    'input.0.caller',
    'unsupported_by_engine',
    { input: [{ type: 'function_call_output', call_id: 'c', output: 'x', caller: { type: 'program', caller_id: 'p' } }] },
  ],
])('a request is refused for its `%s` (%s)', (param, code, fields) => {
  const result = responsesCodec.readRequest({ model: 'm', input: 'x', ...(fields as JsonObject) });
  expect(result).toMatchObject({ ok: false, error: { code, param } });
});

test.each<[param: string, more: Partial<Prompt>]>([
  ['stop_sequences', { stopSequences: ['###'] }],
  ['top_k', { topK: 5 }],
  ['seed', { seed: 5 }],
  ['presence_penalty', { presencePenalty: 1 }],
  ['frequency_penalty', { frequencyPenalty: 1 }],
  ['thinking.budget_tokens', { thinking: { kind: 'enabled', budgetTokens: 2000 } }],
  ['output_config.effort', { thinking: { kind: 'disabled', effort: 'low' } }],
  [
    'messages.0.content.0',
    { turns: [{ role: 'assistant', parts: [{ kind: 'image', source: { kind: 'url', url: 'https://a.example/b' } }] }] },
  ],
])('an engine of this dialect cannot be told `%s`', (param, more) => {
  const prompt = { model: 'm', system: [], turns: [], tools: [], stopSequences: [], stream: true, ...more };
  expect(responsesCodec.writeRequest(prompt)).toMatchObject({ ok: false, error: { code: 'unsupported_by_engine', param } });
});

test('images and files are data URLs or URLs, both ways; detail auto is what no detail means', () => {
  const content = [
    { type: 'input_image', image_url: 'data:image/png;base64,AAAA', detail: 'auto' },
    { type: 'input_image', image_url: 'https://a.example/b.png', detail: 'original' },
    { type: 'input_file', filename: 'tides.pdf', file_data: 'data:application/pdf;base64,BBBB' },
    { type: 'input_file', file_url: 'https://a.example/tides.pdf' },
  ];
  const body = { model: 'm', input: [{ type: 'message', role: 'user', content }], store: false, stream: false };
  const prompt = read(body);
  expect(prompt.turns[0]?.parts).toEqual([
    { kind: 'image', source: { kind: 'base64', mediaType: 'image/png', data: 'AAAA' } },
    { kind: 'image', source: { kind: 'url', url: 'https://a.example/b.png' }, detail: 'original' },
    { kind: 'document', source: { kind: 'base64', mediaType: 'application/pdf', data: 'BBBB' }, title: 'tides.pdf' },
    { kind: 'document', source: { kind: 'url', url: 'https://a.example/tides.pdf' } },
  ]);
  expect(responsesCodec.writeRequest(prompt)).toEqual({ ok: true, value: body });
});

test('a document that is text, or has notes, is told to an engine in words', () => {
  const document = { kind: 'document', title: 'Tides', context: 'From 1900.' } as const;
  const base64 = { kind: 'base64', mediaType: 'application/pdf', data: 'BBBB' } as const;
  const parts: Part[] = [
    { ...document, source: { kind: 'text', text: 'High at six.' } },
    { ...document, source: base64 },
    { kind: 'document', source: base64 },
  ];
  const prompt: Prompt = { ...read({ model: 'm', input: [] }), turns: [{ role: 'user', parts }] };
  expect(responsesCodec.writeRequest(prompt)).toMatchObject({
    value: {
      input: [
        {
          content: [
            { type: 'input_text', text: 'Tides\n\nFrom 1900.\n\nHigh at six.' },
            { type: 'input_text', text: 'From 1900.' },
            { type: 'input_file', filename: 'Tides', file_data: 'data:application/pdf;base64,BBBB' },
            { type: 'input_file', filename: 'document.pdf', file_data: 'data:application/pdf;base64,BBBB' },
          ],
        },
      ],
    },
  });
});

test('a tool that failed is told to the model in words, and to the client by the status, and comes back as it was', () => {
  const result = { kind: 'tool_result', callId: 'c', parts: [{ kind: 'text', text: 'No port.' }], isError: true } as const;
  const prompt: Prompt = { ...read({ model: 'm', input: [] }), turns: [{ role: 'user', parts: [result] }] };
  const written = responsesCodec.writeRequest(prompt);
  const item = {
    type: 'function_call_output',
    call_id: 'c',
    output: [
      { type: 'input_text', text: 'Error:' },
      { type: 'input_text', text: 'No port.' },
    ],
    status: 'incomplete',
  };
  expect(written).toMatchObject({ value: { input: [item] } });
  expect(read({ model: 'm', input: [item] }).turns).toEqual(prompt.turns);
});

test('the service tier that was asked for does not pass for the one that served', () => {
  const request = read({ model: 'm', input: 'x', service_tier: 'priority' });
  expect(responsesCodec.writeAnswer(answer, { ...options, request })).not.toHaveProperty('service_tier');
});

test('a failed whole answer is refused in the words of the engine', () => {
  const failed = {
    id: 'resp_1',
    object: 'response',
    output: [],
    status: 'failed',
    error: { code: 'server_error', message: 'Out of luck.' },
  };
  expect(responsesCodec.readAnswer(failed)).toEqual({ ok: false, error: { code: 'upstream_broken', message: 'Out of luck.' } });
});

test('marks to cache change nothing that an engine of this dialect is told', () => {
  const cache = { ttl: '1h' } as const;
  const plain = read({ model: 'm', input: 'x', instructions: 'Be brief.' });
  const marked: Prompt = {
    ...plain,
    cache,
    system: plain.system.map((part) => ({ ...part, cache })),
    turns: [{ role: 'user', parts: [{ kind: 'text', text: 'x', cache }] }],
  };
  expect(responsesCodec.writeRequest(marked)).toEqual(responsesCodec.writeRequest(plain));
});

test('a request to an engine asks it to keep nothing, and for reasoning that can be sent back', () => {
  const prompt = read({ model: 'm', input: 'x', reasoning: { effort: 'high' }, stream: true });
  expect(responsesCodec.writeRequest(prompt)).toEqual({
    ok: true,
    value: {
      model: 'm',
      input: [{ type: 'message', role: 'user', content: 'x' }],
      reasoning: { effort: 'high' },
      include: ['reasoning.encrypted_content'],
      store: false,
      stream: true,
    },
  });
});

function read(body: Json): Prompt {
  const result = responsesCodec.readRequest(body);
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}
