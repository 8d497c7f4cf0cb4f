import { NotProvoked, response, signal, type FailureEntry } from '../entry.ts';
import { CLIENT_PATHS, requestOf, sendJson } from '../kit/answers.ts';
import { askGateway } from '../kit/lab.ts';

const SCHEMA = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

export const translation: FailureEntry = {
  id: 'A17',
  component: 'dialect',
  failure: 'Translation between the dialects drops or changes a field: a tool call, a stop reason, a refusal, usage',
  effect: 'The client does the wrong thing, or calls a tool with the wrong arguments; a safety field is lost without a word',
  signal:
    'Records `refused`, `unsupported_by_engine`; plimsoll_requests_total{outcome="refused"}; the usage that the replica told, in the record',
  response: 'What the other side can say is carried; what it cannot say is refused with a 400 that names the field',
  severity: 2,
  injection:
    'Requests with every kind of content in each dialect to a replica of the other, looked at on both sides; and fields that the other side cannot say',
  async provoke(lab) {
    const asked: Record<string, unknown>[] = [];
    const replica = await lab.replica((call) => {
      asked.push(JSON.parse(call.body) as Record<string, unknown>);
      const isMessages = call.path.includes('/messages');
      sendJson(
        call,
        200,
        call.body.includes('forbidden')
          ? isMessages
            ? REFUSAL.messages
            : REFUSAL.chat
          : isMessages
            ? TOOL_CALL.messages
            : TOOL_CALL.chat,
      );
    });
    const gateway = await lab.gateway({
      pools: {
        claude: { dialect: 'anthropic', replicas: [replica.url] },
        gpt: { dialect: 'openai', replicas: [replica.openaiUrl] },
      },
    });
    const messages = (more: object) =>
      askGateway(gateway, { path: CLIENT_PATHS.anthropic, body: { ...MESSAGES, model: 'gpt', ...more } }).answer;
    const chat = (more: object) =>
      askGateway(gateway, { path: CLIENT_PATHS.openai, body: { ...CHAT, model: 'claude', ...more } }).answer;

    const toChat = await messages({});
    const toMessages = await chat({});
    if (asked.length !== 2)
      throw new NotProvoked(
        `the replica was asked ${asked.length} times; the answers: ${toChat.status} ${toChat.body.slice(0, 200)}, ${toMessages.status} ${toMessages.body.slice(0, 200)}`,
      );
    const lost = [...missing(asked[0], CARRIED_TO_CHAT), ...missing(asked[1], CARRIED_TO_MESSAGES)];
    const lostBack = [
      ...missing(JSON.parse(toChat.body), CARRIED_BACK_TO_MESSAGES),
      ...missing(JSON.parse(toMessages.body), CARRIED_BACK_TO_CHAT),
    ];

    const declined = [await messages({ messages: FORBIDDEN }), await chat({ messages: FORBIDDEN })];
    const isDeclined =
      declined[0]?.body.includes('"stop_reason":"refusal"') === true &&
      declined[1]?.body.includes('"finish_reason":"content_filter"') === true;

    const before = asked.length;
    const unsayable: [field: string, answer: { status: number; body: string; totalMs: number }][] = [];
    for (const [field, value] of Object.entries(UNSAYABLE_TO_CHAT)) unsayable.push([field, await messages({ [field]: value })]);
    for (const [field, value] of Object.entries(UNSAYABLE_TO_MESSAGES)) unsayable.push([field, await chat({ [field]: value })]);
    const wrong = unsayable.filter(([field, { status, body }]) => status !== 400 || !body.includes(field));
    const scrape = await gateway.metrics();
    const refused = scrape.sum('plimsoll_requests_total', { outcome: 'refused' });
    const records = await lab.records(gateway, 4 + unsayable.length);
    const told = records.filter(({ outcome, code }) => outcome === 'refused' && code === 'unsupported_by_engine').length;
    const usage = records
      .slice(0, 2)
      .map(({ tokens: { input, output, estimated } }) => `${input}+${output}${estimated ? ' estimated' : ''}`);
    return [
      response('what the other side can say reaches the replica', lost.length === 0, {
        saw: lost.length === 0 ? `${CARRIED_TO_CHAT.length + CARRIED_TO_MESSAGES.length} fields` : `lost: ${lost.join(', ')}`,
      }),
      response('the call, its reason and its usage come back', lostBack.length === 0, {
        saw:
          lostBack.length === 0
            ? `${CARRIED_BACK_TO_CHAT.length + CARRIED_BACK_TO_MESSAGES.length} fields`
            : `lost: ${lostBack.join(', ')}`,
        afterMs: Math.max(toChat.totalMs, toMessages.totalMs),
      }),
      response('a refusal stays a refusal', isDeclined, {
        saw: isDeclined
          ? 'stop_reason refusal, finish_reason content_filter'
          : declined.map(({ body }) => body.slice(0, 160)).join(' | '),
      }),
      response('what it cannot say is refused by name, and not sent', wrong.length === 0 && asked.length === before, {
        saw: `${unsayable.length - wrong.length} of ${unsayable.length} fields${wrong.map(([field, { status }]) => `; ${field}: ${status}`).join('')}`,
        afterMs: Math.max(...unsayable.map(([, { totalMs }]) => totalMs)),
      }),
      signal('metric and records count the refusals', refused === unsayable.length && told === unsayable.length, {
        saw: `refused 0 → ${refused}, ${told} records unsupported_by_engine`,
      }),
      signal(
        "the records hold the replica's usage",
        usage.every((text) => text === '11+7'),
        { saw: usage.join(', ') },
      ),
    ];
  },
};

const FORBIDDEN = requestOf('', 'forbidden')['messages' as keyof object];

const MESSAGES = {
  max_tokens: 64,
  system: 'the-system-prompt',
  temperature: 0.5,
  stop_sequences: ['the-stop'],
  tools: [{ name: 'weather', description: 'the-description', input_schema: SCHEMA }],
  tool_choice: { type: 'tool', name: 'weather' },
  messages: [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'the-question' },
        { type: 'image', source: { type: 'base64', media_type: 'image/png', data: PIXEL } },
      ],
    },
    { role: 'assistant', content: [{ type: 'tool_use', id: 'call_7', name: 'weather', input: { city: 'the-city' } }] },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'call_7', content: 'the-result', is_error: true }] },
  ],
};

const CHAT = {
  max_tokens: 64,
  temperature: 0.5,
  stop: ['the-stop'],
  parallel_tool_calls: false,
  tools: [{ type: 'function', function: { name: 'weather', description: 'the-description', parameters: SCHEMA } }],
  tool_choice: { type: 'function', function: { name: 'weather' } },
  messages: [
    { role: 'system', content: 'the-system-prompt' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'the-question' },
        { type: 'image_url', image_url: { url: `data:image/png;base64,${PIXEL}` } },
      ],
    },
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'call_7', type: 'function', function: { name: 'weather', arguments: '{"city":"the-city"}' } }],
    },
    { role: 'tool', tool_call_id: 'call_7', content: 'the-result' },
  ],
};

const USAGE = {
  messages: { input_tokens: 11, output_tokens: 7 },
  chat: { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 },
};
const messageOf = (content: readonly object[], stop: string): object => ({
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'm',
  content,
  stop_reason: stop,
  stop_sequence: null,
  usage: USAGE.messages,
});
const completionOf = (message: object, finish: string): object => ({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1,
  model: 'm',
  choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason: finish }],
  usage: USAGE.chat,
});
const TOOL_CALL = {
  messages: messageOf([{ type: 'tool_use', id: 'call_8', name: 'weather', input: { city: 'answer-city' } }], 'tool_use'),
  chat: completionOf(
    {
      content: null,
      tool_calls: [{ id: 'call_8', type: 'function', function: { name: 'weather', arguments: '{"city":"answer-city"}' } }],
    },
    'tool_calls',
  ),
};
const REFUSAL = {
  messages: messageOf([{ type: 'text', text: 'no' }], 'refusal'),
  chat: completionOf({ content: null, refusal: 'no' }, 'stop'),
};

/** What has to be somewhere in the other side's words: a value, or a key with its value. */
const ALIKE = [
  'the-system-prompt',
  'the-question',
  'the-description',
  'the-city',
  'the-result',
  'the-stop',
  'call_7',
  PIXEL,
  '"temperature":0.5',
  '"max_tokens":64',
];
const CARRIED_TO_CHAT = [
  ...ALIKE,
  '"role":"system"',
  '"type":"image_url"',
  '"tool_call_id":"call_7"',
  'Error:',
  '"tool_choice":{"type":"function"',
  '"parameters":{"type":"object"',
];
const CARRIED_TO_MESSAGES = [
  ...ALIKE,
  '"system":',
  '"type":"image"',
  '"tool_use_id":"call_7"',
  '"disable_parallel_tool_use":true',
  '"type":"tool","name":"weather"',
  '"input_schema":{"type":"object"',
];
const CARRIED_BACK_TO_MESSAGES = [
  '"stop_reason":"tool_use"',
  '"type":"tool_use"',
  '"id":"call_8"',
  '"input":{"city":"answer-city"}',
  '"input_tokens":11',
  '"output_tokens":7',
];
const CARRIED_BACK_TO_CHAT = [
  '"finish_reason":"tool_calls"',
  '"id":"call_8"',
  '"arguments":"{\\"city\\":\\"answer-city\\"}"',
  '"prompt_tokens":11',
  '"completion_tokens":7',
];

/** Fields that the other dialect has no words for, or that nobody knows (docs/dialects.md). */
const UNSAYABLE_TO_CHAT = {
  top_k: 5,
  thinking: { type: 'enabled', budget_tokens: 1024 },
  container: 'c_1',
  safety_level: 'strict',
};
const UNSAYABLE_TO_MESSAGES = { seed: 7, logprobs: true, n: 2, presence_penalty: 1, safety_level: 'strict' };

function missing(json: unknown, wanted: readonly string[]): readonly string[] {
  const text = JSON.stringify(json);
  return wanted.filter((piece) => !text.includes(piece)).map((piece) => (piece === PIXEL ? 'the image' : piece));
}
