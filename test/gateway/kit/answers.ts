/** Requests and answers of each dialect, as captured servers write them. */

const event = (name: string, data: unknown): string => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
const chunk = (data: unknown): string => `data: ${JSON.stringify(data)}\n\n`;

export const MESSAGES = '/v1/messages';
export const CHAT = '/v1/chat/completions';
export const RESPONSES = '/v1/responses';

export const messagesRequest = (more: object = {}): object => ({
  model: 'harbor-1',
  max_tokens: 64,
  messages: [{ role: 'user', content: 'How deep may she lie?' }],
  ...more,
});
export const chatRequest = (more: object = {}): object => ({
  model: 'harbor-1',
  messages: [{ role: 'user', content: 'How deep may she lie?' }],
  ...more,
});
export const responsesRequest = (more: object = {}): object => ({ model: 'harbor-1', input: 'How deep may she lie?', ...more });

/** The events of a Messages stream, one an entry: start, block, ping, the words, the end. */
export function messagesEvents(words: readonly string[], model = 'org/harbor-70b'): readonly string[] {
  return [
    event('message_start', {
      type: 'message_start',
      message: {
        id: 'msg_01',
        type: 'message',
        role: 'assistant',
        model,
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: { input_tokens: 21, cache_read_input_tokens: 4, output_tokens: 1 },
      },
    }),
    event('content_block_start', { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }),
    event('ping', { type: 'ping' }),
    ...words.map((text) =>
      event('content_block_delta', { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } }),
    ),
    event('content_block_stop', { type: 'content_block_stop', index: 0 }),
    event('message_delta', {
      type: 'message_delta',
      delta: { stop_reason: 'end_turn', stop_sequence: null },
      usage: { output_tokens: words.length },
    }),
    event('message_stop', { type: 'message_stop' }),
  ];
}

export const messagesAnswer = (text: string, model = 'org/harbor-70b'): string =>
  JSON.stringify({
    id: 'msg_01',
    type: 'message',
    role: 'assistant',
    model,
    content: [{ type: 'text', text }],
    stop_reason: 'end_turn',
    stop_sequence: null,
    usage: { input_tokens: 21, cache_read_input_tokens: 4, output_tokens: 7 },
  });

/** The chunks of a Chat Completions stream; the one before [DONE] carries usage and nothing else. */
export function chatChunks(words: readonly string[], { model = 'org/harbor-70b', usage = true } = {}): readonly string[] {
  const frame = { id: 'chatcmpl-01', object: 'chat.completion.chunk', created: 1_760_000_000, model };
  const choice = (delta: object, finish: string | null = null) =>
    chunk({ ...frame, choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }] });
  return [
    choice({ role: 'assistant', content: '' }),
    ...words.map((content) => choice({ content })),
    choice({}, 'stop'),
    ...(usage
      ? [
          chunk({
            ...frame,
            choices: [],
            usage: { prompt_tokens: 21, completion_tokens: words.length, total_tokens: 21 + words.length },
          }),
        ]
      : []),
    'data: [DONE]\n\n',
  ];
}

export const chatAnswer = (text: string, model = 'org/harbor-70b'): string =>
  JSON.stringify({
    id: 'chatcmpl-01',
    object: 'chat.completion',
    created: 1_760_000_000,
    model,
    choices: [{ index: 0, message: { role: 'assistant', content: text }, logprobs: null, finish_reason: 'stop' }],
    usage: { prompt_tokens: 21, completion_tokens: 7, total_tokens: 28 },
  });

/** The events of a Responses stream. */
export function responsesEvents(words: readonly string[], model = 'org/harbor-70b'): readonly string[] {
  const response = { id: 'resp_01', object: 'response', created_at: 1_760_000_000, model, output: [], status: 'in_progress' };
  const item = { id: 'msg_01', type: 'message', status: 'in_progress', role: 'assistant', content: [] };
  const text = words.join('');
  const part = { type: 'output_text', text, annotations: [] };
  const output = [{ ...item, status: 'completed', content: [part] }];
  const usage = {
    input_tokens: 21,
    input_tokens_details: { cached_tokens: 4 },
    output_tokens: words.length,
    total_tokens: 21 + words.length,
  };
  const at = { item_id: 'msg_01', output_index: 0, content_index: 0 };
  return [
    { type: 'response.created', response },
    { type: 'response.in_progress', response },
    { type: 'response.output_item.added', output_index: 0, item },
    { type: 'response.content_part.added', ...at, part: { ...part, text: '' } },
    ...words.map((delta) => ({ type: 'response.output_text.delta', ...at, delta })),
    { type: 'response.output_text.done', ...at, text },
    { type: 'response.content_part.done', ...at, part },
    { type: 'response.output_item.done', output_index: 0, item: output[0] },
    { type: 'response.completed', response: { ...response, status: 'completed', output, usage } },
  ].map((data, index) => event(data.type, { ...data, sequence_number: index }));
}

export const responsesAnswer = (text: string, model = 'org/harbor-70b'): string =>
  JSON.stringify({
    id: 'resp_01',
    object: 'response',
    created_at: 1_760_000_000,
    status: 'completed',
    model,
    output: [
      {
        id: 'msg_01',
        type: 'message',
        status: 'completed',
        role: 'assistant',
        content: [{ type: 'output_text', text, annotations: [] }],
      },
    ],
    usage: { input_tokens: 21, output_tokens: 7, total_tokens: 28 },
  });
