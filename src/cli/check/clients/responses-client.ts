import { listOf, objectOf, parseJson, textOf } from '../json-value.ts';
import type { SseEvent } from '../sse.ts';
import { beginHearing, type ClientDialect, type Heard } from './client-dialect.ts';
import { openaiErrorProblems, openaiUsage } from './openai-errors.ts';

const USAGE = { input: 'input_tokens', details: 'input_tokens_details', output: 'output_tokens' } as const;

/** OpenAI Responses, stateless. Source: platform.openai.com/docs/api-reference/responses. */
export const responsesClient: ClientDialect = {
  name: 'openai-responses',
  path: '/v1/responses',
  requestIdHeader: 'x-request-id',
  requiredField: 'input',
  headers: (key) => ({ 'content-type': 'application/json', ...(key === null ? {} : { authorization: `Bearer ${key}` }) }),
  body: ({ model, text, stream, maxTokens, tools }) => ({
    model,
    max_output_tokens: maxTokens,
    store: false,
    input: text,
    ...(stream ? { stream: true } : {}),
    ...(tools.length === 0
      ? {}
      : {
          tools: tools.map((name) => ({
            type: 'function',
            name,
            strict: false,
            parameters: { type: 'object', properties: { city: { type: 'string' } } },
          })),
        }),
  }),
  hearWhole: hearResponse,
  hearStream: (events) => hearStream(events),
  errorProblems: (_, body) => openaiErrorProblems(body),
  stops: { end: 'completed', max_tokens: 'max_output_tokens', tool: 'completed', refusal: 'completed' },
};

function hearResponse(body: unknown): Heard {
  const hearing = beginHearing();
  const response = objectOf(body);
  if (response['object'] !== 'response') hearing.problems.push('object is not "response"');
  hearing.id = textOf(response['id']);
  hearing.model = textOf(response['model']);
  if (hearing.id === '') hearing.problems.push('id is missing');
  for (const one of listOf(response['output'])) {
    const item = objectOf(one);
    if (item['type'] === 'message')
      for (const part of listOf(item['content'])) {
        const { type, text, refusal } = objectOf(part);
        hearing.text += type === 'refusal' ? textOf(refusal) : textOf(text);
      }
    else if (item['type'] === 'function_call')
      hearing.tools.push({ id: textOf(item['call_id']), name: textOf(item['name']), json: textOf(item['arguments']) });
    else if (item['type'] === 'reasoning')
      for (const part of [...listOf(item['summary']), ...listOf(item['content'])])
        hearing.thinking += textOf(objectOf(part)['text']);
  }
  const status = textOf(response['status']);
  hearing.stop = textOf(objectOf(response['incomplete_details'])['reason']) || status || null;
  hearing.isComplete = status === 'completed' || status === 'incomplete';
  const error = objectOf(response['error']);
  if (status === 'failed') hearing.error = { type: textOf(error['code']), message: textOf(error['message']) };
  hearing.usage = openaiUsage(response['usage'], USAGE);
  return hearing;
}

function hearStream(events: readonly SseEvent[]): Heard {
  const hearing = beginHearing();
  const { problems } = hearing;
  let streamedText = '';
  let finished: Heard | null = null;
  let lastSequence = -1;
  let hasCreated = false;
  for (const { name, data } of events) {
    if (data === '[DONE]') continue; // clients ignore it
    const event = objectOf(parseJson(data));
    const type = textOf(event['type']);
    if (type === '') problems.push(`an event named ${name || 'nothing'} has no type`);
    if (name !== '' && name !== type) problems.push(`an event named ${name} is of type ${type}`);
    if (finished !== null || hearing.error !== null) problems.push(`${type} came after the end`);
    if (type === 'error') {
      hearing.error = { type: textOf(event['code']), message: textOf(event['message']) };
      continue;
    }
    const sequence = event['sequence_number'];
    if (typeof sequence !== 'number' || sequence <= lastSequence) problems.push(`${type}: sequence_number does not rise`);
    else lastSequence = sequence;
    if (type === 'response.created') {
      if (hasCreated) problems.push('a second response.created');
      hasCreated = true;
    } else if (!hasCreated) problems.push(`${type} came before response.created`);
    if (type === 'response.output_text.delta') streamedText += textOf(event['delta']);
    if (type === 'response.completed' || type === 'response.incomplete' || type === 'response.failed')
      finished = hearResponse(event['response']);
  }
  if (finished === null) return { ...hearing, text: streamedText };
  if (finished.text !== streamedText) problems.push('the text of the deltas is not the text of the finished response');
  return { ...finished, problems: [...problems, ...finished.problems] };
}
