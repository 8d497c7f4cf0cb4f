import type { BlockStart } from '#contracts/answer';
import type { Json, JsonObject } from '#contracts/prompt';
import { brokenStream, cutStream } from '../broken-stream.ts';
import type { EventReader } from '../codec.ts';
import { isList, isObject, parseJson } from '../json.ts';
import { createAnswerAssembler, toolCallStart, unknownItem, type AnswerAssembler } from './answer-assembler.ts';
import { readError } from './error-codes.ts';

/** The item that is being streamed, and how many blocks there were before it. */
interface CurrentItem {
  readonly type: string;
  readonly outputIndex: Json | undefined;
  readonly blocksBefore: number;
}

/**
 * Reads a stream of this dialect. Items come one after another; an item ends with its `done` event or when the next begins, and
 * what a server says only in the `done` events, or only in the last one, is taken from there. Two items whose events are mixed
 * are an error, since our blocks may not overlap. Unknown event types are passed over (annotations, for one, have no words of
 * ours), unknown items are not.
 */
export function createEventReader(): EventReader {
  const assembler = createAnswerAssembler();
  let current: CurrentItem | null = null;

  const lifecycle = (event: JsonObject): void => {
    if (isObject(event.response)) assembler.start(event.response);
    else assembler.fail(brokenStream('it sent an event without its response'));
  };

  const itemAdded = (event: JsonObject): void => {
    const item = isObject(event.item) ? event.item : {};
    assembler.closeBlock();
    if (item.type !== 'message' && item.type !== 'function_call' && item.type !== 'reasoning')
      return assembler.fail(unknownItem(item));
    current = { type: item.type, outputIndex: event.output_index, blocksBefore: assembler.blockCount };
    if (item.type === 'function_call') assembler.openBlock(toolCallStart(item));
  };

  /** Is the event about the item that is being streamed? One about another cannot be put in its place. */
  const isCurrent = (event: JsonObject, type: string): boolean => {
    if (current?.type === type && current.outputIndex === event.output_index) return true;
    assembler.fail(brokenStream('it sent a piece of an output item that is not the one it began last'));
    return false;
  };

  const partAdded = (event: JsonObject): void => {
    const kind = isObject(event.part) ? BLOCK_OF_PART.get(event.part.type) : undefined;
    if (kind === undefined) return assembler.fail(unknownItem(isObject(event.part) ? event.part : {}));
    if (isCurrent(event, kind === 'thinking' ? 'reasoning' : 'message')) begin(assembler, kind);
  };

  const piece = (event: JsonObject, { kind, isWhole }: Piece): void => {
    if (!isCurrent(event, ITEM_OF_BLOCK[kind])) return;
    if (assembler.openKind !== kind) {
      // A part that is done and closed says nothing new when it is done once more.
      if (isWhole && assembler.blockCount > (current?.blocksBefore ?? 0)) return;
      begin(assembler, kind);
    }
    const text = isWhole ? wholeText(event) : event.delta;
    if (typeof text === 'string' && !(isWhole && (assembler.hasContent || text === ''))) assembler.addText(text);
  };

  const itemDone = (event: JsonObject): void => {
    const item = isObject(event.item) ? event.item : {};
    if (typeof item.type !== 'string' || !isCurrent(event, item.type)) return;
    if (assembler.blockCount === current?.blocksBefore) assembler.addItem(item);
    else if (assembler.openKind === 'tool_call' && !assembler.hasContent && typeof item.arguments === 'string')
      assembler.addText(item.arguments);
    if (typeof item.encrypted_content === 'string') assembler.addSignature(item.encrypted_content);
    assembler.closeBlock();
    current = null;
  };

  const ended = (event: JsonObject, status: string): void => {
    if (!isObject(event.response)) return lifecycle(event);
    if (assembler.blockCount === 0 && isList(event.response.output)) event.response.output.forEach(assembler.addItem);
    assembler.conclude({ ...event.response, status });
  };

  const dispatch = (type: string, event: JsonObject): void => {
    if (type === 'error') return assembler.fail(readError(event));
    if (type === 'keepalive') return assembler.ping();
    if (!assembler.isStarted) {
      lifecycle(event);
      if (assembler.isOver) return;
    }
    const pieceOf = PIECES.get(type);
    if (pieceOf !== undefined) return piece(event, pieceOf);
    switch (type) {
      case 'response.output_item.added':
        return itemAdded(event);
      case 'response.content_part.added':
      case 'response.reasoning_summary_part.added':
        return partAdded(event);
      case 'response.content_part.done':
        // A part of a message is a block; a reasoning item is one block, however many parts it has.
        return assembler.openKind === 'text' || assembler.openKind === 'refusal' ? assembler.closeBlock() : undefined;
      case 'response.output_item.done':
        return itemDone(event);
      case 'response.completed':
      case 'response.incomplete':
      case 'response.failed':
      case 'response.cancelled':
        return ended(event, type.slice('response.'.length));
      default:
        return;
    }
  };

  return {
    read(name, data) {
      if (assembler.isOver || data === '[DONE]') return [];
      const event = parseJson(data);
      if (!isObject(event)) assembler.fail(brokenStream('it sent an event that is not a JSON object'));
      else dispatch(typeof event.type === 'string' ? event.type : name, event);
      return assembler.take();
    },
    end() {
      if (!assembler.isOver) assembler.fail(cutStream());
      return assembler.take();
    },
  };
}

type StreamedKind = Exclude<BlockStart['kind'], 'redacted_thinking'>;
interface Piece {
  readonly kind: StreamedKind;
  /** A `done` event, which repeats the whole of what its deltas said. */
  readonly isWhole: boolean;
}

const PIECES: ReadonlyMap<string, Piece> = new Map<string, Piece>([
  ['response.output_text.delta', { kind: 'text', isWhole: false }],
  ['response.output_text.done', { kind: 'text', isWhole: true }],
  ['response.refusal.delta', { kind: 'refusal', isWhole: false }],
  ['response.refusal.done', { kind: 'refusal', isWhole: true }],
  ['response.function_call_arguments.delta', { kind: 'tool_call', isWhole: false }],
  ['response.function_call_arguments.done', { kind: 'tool_call', isWhole: true }],
  ['response.reasoning_summary_text.delta', { kind: 'thinking', isWhole: false }],
  ['response.reasoning_summary_text.done', { kind: 'thinking', isWhole: true }],
  ['response.reasoning_text.delta', { kind: 'thinking', isWhole: false }],
  ['response.reasoning_text.done', { kind: 'thinking', isWhole: true }],
]);

const BLOCK_OF_PART: ReadonlyMap<Json | undefined, StreamedKind> = new Map<Json | undefined, StreamedKind>([
  ['output_text', 'text'],
  ['refusal', 'refusal'],
  ['summary_text', 'thinking'],
  ['reasoning_text', 'thinking'],
]);

const ITEM_OF_BLOCK = { text: 'message', refusal: 'message', tool_call: 'function_call', thinking: 'reasoning' } as const;

/** Opens a block for a part; a call's is opened with its item, and the parts of one reasoning item share a block. */
function begin(assembler: AnswerAssembler, kind: StreamedKind): void {
  if (kind === 'tool_call') return;
  if (kind !== 'thinking' || assembler.openKind !== 'thinking') assembler.openBlock({ kind });
  else assembler.beginNextPart();
}

function wholeText(event: JsonObject): Json | undefined {
  return event.text ?? event.refusal ?? event.arguments;
}
