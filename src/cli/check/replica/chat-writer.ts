import { writeOpenaiError } from '#dialects';
import { objectOf } from '../json-value.ts';
import type { ScriptedAnswer, ScriptedPart } from './script.ts';
import { CREATED_AT_S, type Frame, type ReplicaWriter } from './writer.ts';

export const chatWriter: ReplicaWriter = {
  dialect: 'openai-chat',
  whole(answer, { model }) {
    const calls = answer.parts.flatMap((part) => (part.kind === 'tool' ? [part] : []));
    return {
      id: 'chatcmpl-check',
      object: 'chat.completion',
      created: CREATED_AT_S,
      model,
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: textOf(answer, 'text') || null,
            ...(textOf(answer, 'thinking') === '' ? {} : { reasoning_content: textOf(answer, 'thinking') }),
            ...(calls.length === 0
              ? {}
              : {
                  tool_calls: calls.map(({ id, name, pieces }) => ({
                    id,
                    type: 'function',
                    function: { name, arguments: pieces.join('') },
                  })),
                }),
          },
          logprobs: null,
          finish_reason: STOPS[answer.stop],
        },
      ],
      usage: usageOf(answer),
    };
  },
  stream(answer, { model, body }) {
    const chunk = (fields: object, isContent = false): Frame => ({
      text: `data: ${JSON.stringify({ id: 'chatcmpl-check', object: 'chat.completion.chunk', created: CREATED_AT_S, model, ...fields })}\n\n`,
      isContent,
    });
    const delta = (change: object, isContent: boolean, finish: string | null = null): Frame =>
      chunk({ choices: [{ index: 0, delta: change, finish_reason: finish }] }, isContent);
    const frames = [delta({ role: 'assistant', content: '' }, false)];
    let calls = 0;
    for (const part of answer.parts) frames.push(...deltas(part, part.kind === 'tool' ? calls++ : 0, delta));
    frames.push(delta({}, false, STOPS[answer.stop]));
    if (objectOf(body['stream_options'])['include_usage'] === true) frames.push(chunk({ choices: [], usage: usageOf(answer) }));
    return [...frames, { text: 'data: [DONE]\n\n', isContent: false }];
  },
  error: (status, message) => writeOpenaiError({ status, type: '', message }),
  errorEvent: (message) => `data: ${JSON.stringify(writeOpenaiError({ status: 529, type: '', message }))}\n\n`,
};

const STOPS = { end: 'stop', max_tokens: 'length', tool: 'tool_calls', refusal: 'content_filter' } as const;

const textOf = ({ parts }: ScriptedAnswer, kind: ScriptedPart['kind']): string =>
  parts.flatMap((part) => (part.kind === kind ? part.pieces : [])).join('');

const usageOf = ({ usage: { input, cacheRead, output } }: ScriptedAnswer): object => ({
  prompt_tokens: input + cacheRead,
  completion_tokens: output,
  total_tokens: input + cacheRead + output,
  prompt_tokens_details: { cached_tokens: cacheRead },
});

function deltas(part: ScriptedPart, index: number, delta: (change: object, isContent: boolean) => Frame): readonly Frame[] {
  if (part.kind === 'text') return part.pieces.map((content) => delta({ content }, true));
  if (part.kind === 'thinking') return part.pieces.map((piece) => delta({ reasoning_content: piece }, true));
  const { id, name, pieces } = part;
  return [
    delta({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }] }, false),
    ...pieces.map((piece) => delta({ tool_calls: [{ index, function: { arguments: piece } }] }, true)),
  ];
}
