import { listOf, objectOf, parseJson, textOf } from '../json-value.ts';
import type { SseEvent } from '../sse.ts';
import { beginHearing, type ClientDialect, type Heard, type Hearing } from './client-dialect.ts';
import { openaiErrorProblems, openaiUsage } from './openai-errors.ts';

const USAGE = { input: 'prompt_tokens', details: 'prompt_tokens_details', output: 'completion_tokens' } as const;

/** OpenAI Chat Completions. Source: platform.openai.com/docs/api-reference/chat. */
export const chatClient: ClientDialect = {
  name: 'openai-chat',
  path: '/v1/chat/completions',
  requestIdHeader: 'x-request-id',
  requiredField: 'messages',
  headers: (key) => ({ 'content-type': 'application/json', ...(key === null ? {} : { authorization: `Bearer ${key}` }) }),
  body: ({ model, text, stream, maxTokens, tools }) => ({
    model,
    max_tokens: maxTokens,
    messages: [{ role: 'user', content: text }],
    ...(stream ? { stream: true, stream_options: { include_usage: true } } : {}),
    ...(tools.length === 0
      ? {}
      : {
          tools: tools.map((name) => ({
            type: 'function',
            function: { name, parameters: { type: 'object', properties: { city: { type: 'string' } } } },
          })),
        }),
  }),
  hearWhole(body) {
    const hearing = beginHearing();
    const completion = objectOf(body);
    if (completion['object'] !== 'chat.completion') hearing.problems.push('object is not "chat.completion"');
    hearing.id = textOf(completion['id']);
    hearing.model = textOf(completion['model']);
    if (hearing.id === '') hearing.problems.push('id is missing');
    const choice = objectOf(listOf(completion['choices'])[0]);
    const message = objectOf(choice['message']);
    if (message['role'] !== 'assistant') hearing.problems.push('choices[0].message.role is not "assistant"');
    hearing.text = textOf(message['content']);
    hearing.thinking = textOf(message['reasoning_content']) || textOf(message['reasoning']);
    for (const call of listOf(message['tool_calls'])) {
      const { id, function: called } = objectOf(call);
      const { name, arguments: json } = objectOf(called);
      if (typeof json !== 'string') hearing.problems.push('tool arguments are not a string');
      hearing.tools.push({ id: textOf(id), name: textOf(name), json: textOf(json) });
    }
    hearing.stop = textOf(choice['finish_reason']) || null;
    hearing.isComplete = hearing.stop !== null;
    hearing.usage = openaiUsage(completion['usage'], USAGE);
    return hearing;
  },
  hearStream: (events) => hearStream(events),
  errorProblems: (_, body) => openaiErrorProblems(body),
  stops: { end: 'stop', max_tokens: 'length', tool: 'tool_calls', refusal: 'content_filter' },
};

function hearStream(events: readonly SseEvent[]): Heard {
  const hearing = beginHearing();
  const { problems } = hearing;
  let isOver = false;
  for (const { name, data } of events) {
    if (isOver) problems.push('something came after the end');
    if (data === '[DONE]') {
      if (hearing.stop === null && hearing.error === null) problems.push('[DONE] without a finish_reason');
      hearing.isComplete = hearing.error === null;
      isOver = true;
      continue;
    }
    const parsed = parseJson(data);
    if (parsed === undefined) {
      problems.push('a chunk is not JSON');
      continue;
    }
    if (name !== '' && name !== 'error') problems.push(`a chunk is named ${name}`);
    const chunk = objectOf(parsed);
    if (chunk['error'] !== undefined) {
      const error = objectOf(chunk['error']);
      hearing.error = { type: textOf(error['type']), message: textOf(error['message']) || textOf(chunk['error']) };
      continue;
    }
    if (chunk['object'] !== 'chat.completion.chunk') problems.push('a chunk is not of object chat.completion.chunk');
    const id = textOf(chunk['id']);
    if (hearing.id !== '' && id !== hearing.id) problems.push('the id changes between chunks');
    hearing.id = id;
    hearing.model = textOf(chunk['model']) || hearing.model;
    hearing.usage = openaiUsage(chunk['usage'], USAGE) ?? hearing.usage;
    for (const choice of listOf(chunk['choices'])) hearChoice(hearing, objectOf(choice));
  }
  return hearing;
}

function hearChoice(hearing: Hearing, choice: Readonly<Record<string, unknown>>): void {
  const delta = objectOf(choice['delta']);
  hearing.text += textOf(delta['content']);
  hearing.thinking += textOf(delta['reasoning_content']) || textOf(delta['reasoning']);
  for (const part of listOf(delta['tool_calls'])) {
    const { index, id, function: called } = objectOf(part);
    const { name, arguments: json } = objectOf(called);
    if (typeof index !== 'number') {
      hearing.problems.push('a piece of a tool call has no index');
      continue;
    }
    if (index > hearing.tools.length) hearing.problems.push(`tool call ${index} where ${hearing.tools.length} was due`);
    const tool = hearing.tools[index];
    if (tool) tool.json += textOf(json);
    else hearing.tools.push({ id: textOf(id), name: textOf(name), json: textOf(json) });
  }
  const stop = textOf(choice['finish_reason']);
  if (stop !== '' && hearing.stop !== null) hearing.problems.push('a second finish_reason');
  hearing.stop = stop || hearing.stop;
}
