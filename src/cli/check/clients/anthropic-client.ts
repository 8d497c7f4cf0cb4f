import { countOf, listOf, objectOf, parseJson, textOf } from '../json-value.ts';
import type { SseEvent } from '../sse.ts';
import { beginHearing, type ClientDialect, type Heard, type Hearing, type HeardUsage } from './client-dialect.ts';

const ERROR_TYPES: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  500: 'api_error',
  504: 'timeout_error',
  529: 'overloaded_error',
};

/** Anthropic Messages. Source: platform.claude.com/docs/en/api (messages, messages-streaming, errors). */
export const anthropicClient: ClientDialect = {
  name: 'anthropic',
  path: '/v1/messages',
  requestIdHeader: 'request-id',
  requiredField: 'max_tokens',
  headers: (key) => ({
    'content-type': 'application/json',
    'anthropic-version': '2023-06-01',
    ...(key === null ? {} : { 'x-api-key': key }),
  }),
  body: ({ model, text, stream, maxTokens, tools }) => ({
    model,
    max_tokens: maxTokens,
    messages: [{ role: 'user', content: text }],
    ...(stream ? { stream: true } : {}),
    ...(tools.length === 0
      ? {}
      : {
          tools: tools.map((name) => ({
            name,
            description: 'A tool of the check.',
            input_schema: { type: 'object', properties: { city: { type: 'string' } } },
          })),
        }),
  }),
  hearWhole(body) {
    const hearing = beginHearing();
    const message = objectOf(body);
    if (message['type'] !== 'message') hearing.problems.push('type is not "message"');
    if (message['role'] !== 'assistant') hearing.problems.push('role is not "assistant"');
    if (textOf(message['id']) === '') hearing.problems.push('id is missing');
    if (!Array.isArray(message['content'])) hearing.problems.push('content is not a list');
    if (!('stop_sequence' in message)) hearing.problems.push('stop_sequence is missing');
    hearing.id = textOf(message['id']);
    hearing.model = textOf(message['model']);
    for (const block of listOf(message['content'])) hearWholeBlock(hearing, objectOf(block));
    hearing.stop = textOf(message['stop_reason']) || null;
    hearing.isComplete = hearing.stop !== null;
    hearing.usage = usageOf(message['usage'], null);
    return hearing;
  },
  hearStream: (events) => hearStream(events),
  errorProblems(status, body) {
    const { type, error, request_id: requestId } = objectOf(body);
    const expected = ERROR_TYPES[status];
    const said = textOf(objectOf(error)['type']);
    return [
      type === 'error' ? '' : 'the body is not {"type":"error",…}',
      said === '' ? 'error.type is missing' : '',
      textOf(objectOf(error)['message']) === '' ? 'error.message is missing' : '',
      said !== '' && expected !== undefined && said !== expected ? `error.type is ${said}, not ${expected}` : '',
      requestId !== undefined && typeof requestId !== 'string' ? 'request_id is not a string' : '',
    ].filter((problem) => problem !== '');
  },
  stops: { end: 'end_turn', max_tokens: 'max_tokens', tool: 'tool_use', refusal: 'refusal' },
};

function hearWholeBlock(hearing: Hearing, block: Readonly<Record<string, unknown>>): void {
  if (block['type'] === 'text') hearing.text += textOf(block['text']);
  else if (block['type'] === 'thinking') {
    hearing.thinking += textOf(block['thinking']);
    hearing.signature += textOf(block['signature']);
  } else if (block['type'] === 'tool_use')
    hearing.tools.push({ id: textOf(block['id']), name: textOf(block['name']), json: JSON.stringify(block['input']) });
}

/** What the SDK enforces, and what it silently mishears (an event without a name is ignored; usage overwrites). */
function hearStream(events: readonly SseEvent[]): Heard {
  const hearing = beginHearing();
  const { problems } = hearing;
  let hasStarted = false;
  let isOver = false;
  let openIndex: number | null = null;
  let nextIndex = 0;
  let openTool: { id: string; name: string; json: string } | null = null;
  let openType = '';
  for (const { name, data } of events) {
    const event = objectOf(parseJson(data));
    const type = textOf(event['type']);
    if (data === '[DONE]') continue; // clients ignore it
    if (name === '') problems.push(`an event of type ${type || 'unknown'} has no name, so clients ignore it`);
    else if (type !== name) problems.push(`an event named ${name} is of type ${type || 'none'}`);
    if (isOver) problems.push(`${name} came after the end`);
    if (name === 'error') {
      const error = objectOf(event['error']);
      hearing.error = { type: textOf(error['type']), message: textOf(error['message']) };
      if (hearing.error.type === '') problems.push('the error event has no error.type');
      isOver = true;
      continue;
    }
    if (!hasStarted && name !== 'message_start' && name !== 'ping') problems.push(`${name} came before message_start`);
    if (name === 'message_start') {
      if (hasStarted) problems.push('a second message_start');
      hasStarted = true;
      const message = objectOf(event['message']);
      hearing.id = textOf(message['id']);
      hearing.model = textOf(message['model']);
      if (listOf(message['content']).length > 0) problems.push('message_start has content');
      if (message['usage'] === undefined) problems.push('message_start has no usage');
      hearing.usage = usageOf(message['usage'], null);
    } else if (name === 'content_block_start') {
      if (openIndex !== null) problems.push('a block begins inside another');
      if (event['index'] !== nextIndex) problems.push(`block ${String(event['index'])} where ${nextIndex} was due`);
      openIndex = nextIndex++;
      const block = objectOf(event['content_block']);
      openType = textOf(block['type']);
      openTool = openType === 'tool_use' ? { id: textOf(block['id']), name: textOf(block['name']), json: '' } : null;
      if (openTool) hearing.tools.push(openTool);
      hearing.text += openType === 'text' ? textOf(block['text']) : '';
    } else if (name === 'content_block_delta') {
      if (event['index'] !== openIndex) problems.push('a delta for a block that is not open');
      const delta = objectOf(event['delta']);
      const kind = textOf(delta['type']);
      if ((DELTAS[kind] ?? openType) !== openType) problems.push(`a ${kind} inside a ${openType} block`);
      hearing.text += textOf(delta['text']);
      hearing.thinking += textOf(delta['thinking']);
      hearing.signature += textOf(delta['signature']);
      if (openTool) openTool.json += textOf(delta['partial_json']);
    } else if (name === 'content_block_stop') {
      if (event['index'] !== openIndex) problems.push('a block ends that is not open');
      openIndex = null;
    } else if (name === 'message_delta') {
      if (openIndex !== null) problems.push('message_delta inside a block');
      hearing.stop = textOf(objectOf(event['delta'])['stop_reason']) || hearing.stop;
      hearing.usage = usageOf(event['usage'], hearing.usage);
    } else if (name === 'message_stop') {
      if (hearing.stop === null) problems.push('message_stop without a stop_reason');
      hearing.isComplete = true;
      isOver = true;
    }
  }
  return hearing;
}

const DELTAS: Readonly<Record<string, string>> = {
  text_delta: 'text',
  thinking_delta: 'thinking',
  signature_delta: 'thinking',
  input_json_delta: 'tool_use',
};

/** Cumulative: what a later event says replaces what an earlier one said, and what it leaves out stays. */
function usageOf(value: unknown, before: HeardUsage | null): HeardUsage | null {
  const usage = objectOf(value);
  const input = countOf(usage['input_tokens']) ?? before?.input;
  const output = countOf(usage['output_tokens']) ?? before?.output;
  if (input === undefined || output === undefined) return before;
  return { input, output, cacheRead: countOf(usage['cache_read_input_tokens']) ?? before?.cacheRead ?? 0 };
}
