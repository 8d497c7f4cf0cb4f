import type { AnswerEvent, BlockDelta, BlockStart, TokenUsage } from '#contracts/answer';
import type { JsonObject } from '#contracts/prompt';
import { invariant, unreachable } from '#core/kernel';
import type { EventWriter, WriterOptions } from '../codec.ts';
import { anthropicErrorType } from '../error-types.ts';
import type { WholeStop } from '../whole-answer.ts';
import { writeStop } from './stop.ts';
import { writeUsage } from './usage.ts';

/**
 * Writes a Messages stream. Usage is said twice, at the start and, cumulatively, with the stop reason; so the stop waits for the
 * end of the answer, after which no more usage can come.
 */
export function createEventWriter(options: WriterOptions): EventWriter {
  let usage: TokenUsage = {};
  let stop: WholeStop | null = null;
  return {
    write(event: AnswerEvent): string {
      switch (event.kind) {
        case 'start':
          usage = event.usage;
          return frame('message_start', { message: writeEmptyMessage(event.id, options.model, usage) });
        case 'block_start':
          return frame('content_block_start', { index: event.index, content_block: writeBlockStart(event.block) });
        case 'delta':
          return frame('content_block_delta', { index: event.index, delta: writeDelta(event.delta) });
        case 'block_end':
          return frame('content_block_stop', { index: event.index });
        case 'usage':
          usage = { ...usage, ...event.usage };
          return '';
        case 'stop':
          stop = event;
          return '';
        case 'end':
          invariant(stop !== null, 'an answer ends after its stop');
          return frame('message_delta', { delta: writeStop(stop), usage: writeUsage(usage) }) + frame('message_stop', {});
        case 'error':
          return frame('error', { error: { type: anthropicErrorType(event.error.status), message: event.error.message } });
        case 'ping':
          return frame('ping', {});
        default:
          return unreachable(event);
      }
    },
  };
}

function frame(type: string, fields: JsonObject): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
}

function writeEmptyMessage(id: string, model: string, usage: TokenUsage): JsonObject {
  return {
    id,
    type: 'message',
    role: 'assistant',
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    stop_details: null,
    usage: writeUsage(usage),
  };
}

function writeBlockStart(block: BlockStart): JsonObject {
  switch (block.kind) {
    case 'text':
    case 'refusal':
      return { type: 'text', text: '' };
    case 'thinking':
      return { type: 'thinking', thinking: '', signature: '' };
    case 'redacted_thinking':
      return { type: 'redacted_thinking', data: block.data };
    case 'tool_call':
      return { type: 'tool_use', id: block.id, name: block.name, input: {} };
    default:
      return unreachable(block);
  }
}

function writeDelta(delta: BlockDelta): JsonObject {
  switch (delta.kind) {
    case 'text':
    case 'refusal':
      return { type: 'text_delta', text: delta.text };
    case 'thinking':
      return { type: 'thinking_delta', thinking: delta.text };
    case 'signature':
      return { type: 'signature_delta', signature: delta.signature };
    case 'arguments':
      return { type: 'input_json_delta', partial_json: delta.json };
    default:
      return unreachable(delta);
  }
}
