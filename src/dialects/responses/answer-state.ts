import type { AnswerError, AnswerEvent, BlockStart, TokenUsage } from '#contracts/answer';
import type { JsonObject } from '#contracts/prompt';
import { unreachable } from '#core/kernel';
import { reasoningItem } from './reasoning-item.ts';

/** One block of an answer, which is one output item of this dialect. */
export interface OutputBlock {
  readonly start: BlockStart;
  /** `msg_…`, `fc_…` or `rs_…`, derived from the response's id and the block's place: unique in it, and the same every time. */
  readonly itemId: string;
  /** Text, thinking, refusal or arguments so far. */
  text: string;
  signature: string | undefined;
  isOpen: boolean;
}

type Stop = Extract<AnswerEvent, { readonly kind: 'stop' }>;

/** What has been answered so far: both writers, of streams and of whole answers, fold events into one of these. */
export interface AnswerState {
  responseId: string;
  usage: TokenUsage;
  readonly blocks: OutputBlock[];
  stop: Stop | null;
  error: AnswerError | null;
}

export function createAnswerState(): AnswerState {
  return { responseId: 'resp_', usage: {}, blocks: [], stop: null, error: null };
}

/** Adds one event to what has been answered. */
export function foldEvent(state: AnswerState, event: AnswerEvent): void {
  switch (event.kind) {
    case 'start':
      state.responseId = `resp_${stem(event.id)}`;
      state.usage = { ...state.usage, ...event.usage };
      return;
    case 'block_start':
      state.blocks.push({
        start: event.block,
        itemId: `${ITEM_PREFIX[event.block.kind]}_${stem(state.responseId)}_${state.blocks.length}`,
        text: '',
        signature: undefined,
        isOpen: true,
      });
      return;
    case 'delta':
      return foldDelta(state.blocks.at(-1), event.delta);
    case 'block_end':
      return closeBlock(state.blocks.at(-1));
    case 'usage':
      state.usage = { ...state.usage, ...event.usage };
      return;
    case 'stop':
      state.stop = event;
      return;
    case 'error':
      state.error = event.error;
      return;
    case 'end':
    case 'ping':
      return;
    default:
      return unreachable(event);
  }
}

function foldDelta(block: OutputBlock | undefined, delta: Extract<AnswerEvent, { readonly kind: 'delta' }>['delta']): void {
  if (block === undefined) return;
  if (delta.kind === 'signature') block.signature = (block.signature ?? '') + delta.signature;
  else block.text += delta.kind === 'arguments' ? delta.json : delta.text;
}

/** The arguments of a call that gave none: clients of this dialect parse them without asking whether there are any. */
export const NO_ARGUMENTS = '{}';

function closeBlock(block: OutputBlock | undefined): void {
  if (block === undefined) return;
  block.isOpen = false;
  if (block.start.kind === 'tool_call' && block.text === '') block.text = NO_ARGUMENTS;
}

const ITEM_PREFIX = { text: 'msg', refusal: 'msg', thinking: 'rs', redacted_thinking: 'rs', tool_call: 'fc' } as const;

/** The part of an id that tells it from others: an answer `msg_01A` or `chatcmpl-01A` is the response `resp_01A`. */
function stem(id: string): string {
  return id.replace(/^(?:resp_|msg_|chatcmpl-)/, '');
}

/** One output item; `isCut` when the answer ended inside it. */
export function outputItem(block: OutputBlock, { isCut }: { readonly isCut: boolean }): JsonObject {
  const { start, itemId, text } = block;
  const status = isCut ? 'incomplete' : 'completed';
  switch (start.kind) {
    case 'text':
    case 'refusal':
      return { id: itemId, type: 'message', status, role: 'assistant', content: [contentPart(block)] };
    case 'tool_call':
      return { id: itemId, type: 'function_call', status, arguments: text, call_id: start.id, name: start.name };
    case 'thinking':
      return reasoningItem(
        itemId,
        block.signature === undefined ? { kind: 'thinking', text } : { kind: 'thinking', text, signature: block.signature },
      );
    case 'redacted_thinking':
      return reasoningItem(itemId, start);
    default:
      return unreachable(start);
  }
}

/** The one content part of a message item. */
export function contentPart({ start, text }: OutputBlock): JsonObject {
  return start.kind === 'refusal'
    ? { type: 'refusal', refusal: text }
    : { type: 'output_text', annotations: [], logprobs: [], text };
}
