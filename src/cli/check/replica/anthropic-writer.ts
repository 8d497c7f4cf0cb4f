import { anthropicErrorType } from '#dialects';
import type { ScriptedAnswer, ScriptedPart } from './script.ts';
import type { Frame, ReplicaWriter } from './writer.ts';

export const anthropicWriter: ReplicaWriter = {
  dialect: 'anthropic',
  whole: ({ parts, stop, usage }, { model }) => ({
    id: 'msg_check',
    type: 'message',
    role: 'assistant',
    model,
    content: parts.map(wholeBlock),
    stop_reason: STOPS[stop],
    stop_sequence: null,
    usage: usageOf(usage, usage.output),
  }),
  stream({ parts, stop, usage }, { model }) {
    const frames: Frame[] = [
      frame('message_start', {
        message: {
          id: 'msg_check',
          type: 'message',
          role: 'assistant',
          model,
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: usageOf(usage, 1),
        },
      }),
      frame('ping', {}),
    ];
    parts.forEach((part, index) => frames.push(...block(part, index)));
    frames.push(
      frame('message_delta', {
        delta: { stop_reason: STOPS[stop], stop_sequence: null },
        usage: { output_tokens: usage.output },
      }),
      frame('message_stop', {}),
    );
    return frames;
  },
  error: (status, message) => ({
    type: 'error',
    error: { type: anthropicErrorType(status), message },
    request_id: 'req_replica',
  }),
  errorEvent: (message) =>
    `event: error\ndata: ${JSON.stringify({ type: 'error', error: { type: 'overloaded_error', message } })}\n\n`,
};

const STOPS = { end: 'end_turn', max_tokens: 'max_tokens', tool: 'tool_use', refusal: 'refusal' } as const;

const usageOf = ({ input, cacheRead }: ScriptedAnswer['usage'], output: number): object => ({
  input_tokens: input,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: cacheRead,
  output_tokens: output,
});

function wholeBlock(part: ScriptedPart): object {
  const text = part.pieces.join('');
  if (part.kind === 'text') return { type: 'text', text };
  if (part.kind === 'thinking') return { type: 'thinking', thinking: text, signature: part.signature };
  return { type: 'tool_use', id: part.id, name: part.name, input: JSON.parse(text) as unknown };
}

function block(part: ScriptedPart, index: number): readonly Frame[] {
  const empty =
    part.kind === 'text'
      ? { type: 'text', text: '' }
      : part.kind === 'thinking'
        ? { type: 'thinking', thinking: '', signature: '' }
        : { type: 'tool_use', id: part.id, name: part.name, input: {} };
  const delta = (piece: string): object =>
    part.kind === 'text'
      ? { type: 'text_delta', text: piece }
      : part.kind === 'thinking'
        ? { type: 'thinking_delta', thinking: piece }
        : { type: 'input_json_delta', partial_json: piece };
  return [
    frame('content_block_start', { index, content_block: empty }),
    ...part.pieces.map((piece) => frame('content_block_delta', { index, delta: delta(piece) }, true)),
    ...(part.kind === 'thinking'
      ? [frame('content_block_delta', { index, delta: { type: 'signature_delta', signature: part.signature } })]
      : []),
    frame('content_block_stop', { index }),
  ];
}

function frame(type: string, fields: object, isContent = false): Frame {
  return { text: `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`, isContent };
}
