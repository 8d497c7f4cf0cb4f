import type { AnswerEvent } from '#contracts/answer';
import type { JsonObject } from '#contracts/prompt';
import { unreachable } from '#core/kernel';
import type { EventWriter, WriterOptions } from '../codec.ts';
import { contentPart, createAnswerState, foldEvent, NO_ARGUMENTS, outputItem, type OutputBlock } from './answer-state.ts';
import { errorCode } from './error-codes.ts';
import { begunResponse, endedResponse } from './response-object.ts';

/**
 * Writes a stream of this dialect. The order is the official API's, which its SDK checks: an item is added, its part is added,
 * deltas, the part is done, the item is done; every event carries the next `sequence_number`. The last event repeats the whole
 * answer, so the writer keeps it. An error is one `error` event and no `response.*` end: the SDK raises on that one only, and
 * nothing after it can be taken for a clean end. A ping is a comment: the SDK takes no event before `response.created`.
 * Source: openai 7.57, internal/responses/response-accumulator.
 */
export function createEventWriter(options: WriterOptions): EventWriter {
  const state = createAnswerState();
  let sequence = 0;
  let isOver = false;
  const frame = (type: string, fields: JsonObject): string => {
    const data = JSON.stringify({ type, sequence_number: sequence, ...fields });
    sequence += 1;
    return `event: ${type}\ndata: ${data}\n\n`;
  };
  const frames = (list: readonly Frame[]): string => list.map(([type, fields]) => frame(type, fields)).join('');

  return {
    write(event) {
      if (isOver) return '';
      const hadNoArguments = event.kind === 'block_end' && state.blocks.at(-1)?.text === '';
      foldEvent(state, event);
      const block = state.blocks.at(-1);
      const outputIndex = state.blocks.length - 1;
      switch (event.kind) {
        case 'start': {
          const response = begunResponse(state, options);
          return frame('response.created', { response }) + frame('response.in_progress', { response });
        }
        case 'block_start':
          return block ? frames(startFrames(block, outputIndex)) : '';
        case 'delta':
          return block ? frames(deltaFrames(block, outputIndex, event.delta)) : '';
        case 'block_end':
          return block ? frames(endFrames(block, outputIndex, hadNoArguments)) : '';
        case 'end': {
          isOver = true;
          const response = endedResponse(state, options);
          return frame(`response.${response.status === 'incomplete' ? 'incomplete' : 'completed'}`, { response });
        }
        case 'error':
          isOver = true;
          return frame('error', { code: errorCode(event.error), message: event.error.message, param: null });
        case 'ping':
          return ': ping\n\n';
        case 'usage':
        case 'stop':
          return '';
        default:
          return unreachable(event);
      }
    },
  };
}

type Frame = readonly [type: string, fields: JsonObject];
type Delta = Extract<AnswerEvent, { readonly kind: 'delta' }>['delta'];

function startFrames(block: OutputBlock, outputIndex: number): readonly Frame[] {
  const { start, itemId } = block;
  const added = (item: JsonObject): Frame => ['response.output_item.added', { output_index: outputIndex, item }];
  switch (start.kind) {
    case 'text':
    case 'refusal':
      return [
        added({ id: itemId, type: 'message', status: 'in_progress', role: 'assistant', content: [] }),
        ['response.content_part.added', { ...partAt(itemId, outputIndex), part: contentPart(block) }],
      ];
    case 'tool_call':
      return [
        added({ id: itemId, type: 'function_call', status: 'in_progress', arguments: '', call_id: start.id, name: start.name }),
      ];
    case 'thinking':
      return [
        added({ id: itemId, type: 'reasoning', summary: [] }),
        [
          'response.reasoning_summary_part.added',
          { ...summaryAt(itemId, outputIndex), part: { type: 'summary_text', text: '' } },
        ],
      ];
    case 'redacted_thinking':
      return [added({ id: itemId, type: 'reasoning', summary: [] })];
    default:
      return unreachable(start);
  }
}

function deltaFrames({ itemId }: OutputBlock, outputIndex: number, delta: Delta): readonly Frame[] {
  switch (delta.kind) {
    case 'text':
      return [['response.output_text.delta', { ...partAt(itemId, outputIndex), delta: delta.text, logprobs: [] }]];
    case 'refusal':
      return [['response.refusal.delta', { ...partAt(itemId, outputIndex), delta: delta.text }]];
    case 'arguments':
      return [argumentsDelta(itemId, outputIndex, delta.json)];
    case 'thinking':
      return [['response.reasoning_summary_text.delta', { ...summaryAt(itemId, outputIndex), delta: delta.text }]];
    case 'signature':
      return []; // comes whole, with the item
    default:
      return unreachable(delta);
  }
}

function endFrames(block: OutputBlock, outputIndex: number, hadNoArguments: boolean): readonly Frame[] {
  const { start, itemId, text } = block;
  const itemDone: Frame = ['response.output_item.done', { output_index: outputIndex, item: outputItem(block, { isCut: false }) }];
  const part = partAt(itemId, outputIndex);
  switch (start.kind) {
    case 'text':
      return [
        ['response.output_text.done', { ...part, text, logprobs: [] }],
        ['response.content_part.done', { ...part, part: contentPart(block) }],
        itemDone,
      ];
    case 'refusal':
      return [
        ['response.refusal.done', { ...part, refusal: text }],
        ['response.content_part.done', { ...part, part: contentPart(block) }],
        itemDone,
      ];
    case 'tool_call':
      return [
        ...(hadNoArguments ? [argumentsDelta(itemId, outputIndex, NO_ARGUMENTS)] : []),
        [
          'response.function_call_arguments.done',
          { item_id: itemId, output_index: outputIndex, name: start.name, arguments: text },
        ],
        itemDone,
      ];
    case 'thinking':
      return [
        ['response.reasoning_summary_text.done', { ...summaryAt(itemId, outputIndex), text }],
        ['response.reasoning_summary_part.done', { ...summaryAt(itemId, outputIndex), part: { type: 'summary_text', text } }],
        itemDone,
      ];
    case 'redacted_thinking':
      return [itemDone];
    default:
      return unreachable(start);
  }
}

function argumentsDelta(itemId: string, outputIndex: number, delta: string): Frame {
  return ['response.function_call_arguments.delta', { item_id: itemId, output_index: outputIndex, delta }];
}

function partAt(itemId: string, outputIndex: number): JsonObject {
  return { item_id: itemId, output_index: outputIndex, content_index: 0 };
}

function summaryAt(itemId: string, outputIndex: number): JsonObject {
  return { item_id: itemId, output_index: outputIndex, summary_index: 0 };
}
