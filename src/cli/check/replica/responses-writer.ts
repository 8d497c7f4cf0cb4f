import { writeOpenaiError } from '#dialects';
import type { ScriptedAnswer, ScriptedPart } from './script.ts';
import { CREATED_AT_S, type Frame, type ReplicaWriter } from './writer.ts';

export const responsesWriter: ReplicaWriter = {
  dialect: 'openai-responses',
  whole: (answer, { model }) => finished(answer, model),
  stream(answer, { model }) {
    let sequence = 0;
    const frame = (type: string, fields: object, isContent = false): Frame => ({
      text: `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence++, ...fields })}\n\n`,
      isContent,
    });
    const begun = { ...finished({ ...answer, parts: [] }, model), status: 'in_progress', usage: null, incomplete_details: null };
    const frames = [frame('response.created', { response: begun }), frame('response.in_progress', { response: begun })];
    answer.parts.forEach((part, output_index) => {
      const item = itemOf(part, output_index);
      const at = { item_id: idOf(output_index), output_index };
      const text = part.pieces.join('');
      if (part.kind === 'tool') {
        frames.push(
          frame('response.output_item.added', { output_index, item: { ...item, arguments: '', status: 'in_progress' } }),
        );
        for (const delta of part.pieces) frames.push(frame('response.function_call_arguments.delta', { ...at, delta }, true));
        frames.push(frame('response.function_call_arguments.done', { ...at, name: part.name, arguments: text }));
      } else if (part.kind === 'thinking') {
        const where = { ...at, summary_index: 0 };
        frames.push(
          frame('response.output_item.added', { output_index, item: { ...item, summary: [] } }),
          frame('response.reasoning_summary_part.added', { ...where, part: { type: 'summary_text', text: '' } }),
          ...part.pieces.map((delta) => frame('response.reasoning_summary_text.delta', { ...where, delta }, true)),
          frame('response.reasoning_summary_text.done', { ...where, text }),
          frame('response.reasoning_summary_part.done', { ...where, part: { type: 'summary_text', text } }),
        );
      } else {
        const where = { ...at, content_index: 0 };
        frames.push(
          frame('response.output_item.added', { output_index, item: { ...item, content: [], status: 'in_progress' } }),
          frame('response.content_part.added', { ...where, part: { type: 'output_text', text: '', annotations: [] } }),
          ...part.pieces.map((delta) => frame('response.output_text.delta', { ...where, delta, logprobs: [] }, true)),
          frame('response.output_text.done', { ...where, text, logprobs: [] }),
          frame('response.content_part.done', { ...where, part: { type: 'output_text', text, annotations: [] } }),
        );
      }
      frames.push(frame('response.output_item.done', { output_index, item }));
    });
    const end = answer.stop === 'max_tokens' ? 'response.incomplete' : 'response.completed';
    return [...frames, frame(end, { response: finished(answer, model) })];
  },
  error: (status, message) => writeOpenaiError({ status, type: '', message }),
  errorEvent: (message) =>
    `event: error\ndata: ${JSON.stringify({ type: 'error', code: 'server_error', message, param: null, sequence_number: 1_000 })}\n\n`,
};

const idOf = (index: number): string => `item_${index}`;

function itemOf(part: ScriptedPart, index: number): object {
  const text = part.pieces.join('');
  const id = idOf(index);
  switch (part.kind) {
    case 'tool':
      return { id, type: 'function_call', status: 'completed', call_id: part.id, name: part.name, arguments: text };
    case 'thinking':
      return { id, type: 'reasoning', summary: [{ type: 'summary_text', text }] };
    case 'text':
      return {
        id,
        type: 'message',
        status: 'completed',
        role: 'assistant',
        content: [{ type: 'output_text', text, annotations: [], logprobs: [] }],
      };
  }
}

function finished({ parts, stop, usage: { input, cacheRead, output } }: ScriptedAnswer, model: string): object {
  return {
    id: 'resp_check',
    object: 'response',
    created_at: CREATED_AT_S,
    status: stop === 'max_tokens' ? 'incomplete' : 'completed',
    incomplete_details: stop === 'max_tokens' ? { reason: 'max_output_tokens' } : null,
    error: null,
    model,
    output: parts.map(itemOf),
    parallel_tool_calls: true,
    tool_choice: 'auto',
    tools: [],
    usage: {
      input_tokens: input + cacheRead,
      input_tokens_details: { cached_tokens: cacheRead },
      output_tokens: output,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: input + cacheRead + output,
    },
  };
}
