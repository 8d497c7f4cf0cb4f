import type { AnswerError, AnswerEvent, BlockDelta, BlockStart, StopReason } from '#contracts/answer';
import type { Json, JsonObject } from '#contracts/prompt';
import { brokenStream } from '../broken-stream.ts';
import { shown } from '../fields.ts';
import { isList, isObject, present } from '../json.ts';
import { readError } from './error-codes.ts';
import { REASONING_SEPARATOR, reasoningTexts } from './reasoning-item.ts';
import { readUsage } from './token-usage.ts';

/**
 * Puts events of ours together from pieces of a response, and keeps the laws of `AnswerEvent` whatever the pieces are: nothing
 * before `start`, contiguous blocks that do not overlap, nothing after the end. Both readers, of streams and of whole answers,
 * are made of it.
 */
export interface AnswerAssembler {
  readonly isStarted: boolean;
  readonly isOver: boolean;
  /** Blocks begun so far. */
  readonly blockCount: number;
  /** What the open block is, null between blocks. */
  readonly openKind: BlockStart['kind'] | null;
  /** Has the open block, or its last part, had any delta but a signature? */
  readonly hasContent: boolean;
  start(response: JsonObject): void;
  openBlock(block: BlockStart): void;
  /** A piece of what the open block is made of. */
  addText(text: string): void;
  addSignature(signature: string): void;
  /** A further part of the same reasoning item goes on in the block that is open. */
  beginNextPart(): void;
  closeBlock(): void;
  /** A whole output item. */
  addItem(item: Json): void;
  /** Usage, stop and end, by the response's own status; an error where it failed. */
  conclude(response: JsonObject): void;
  fail(error: AnswerError): void;
  ping(): void;
  /** The events since the last call. */
  take(): readonly AnswerEvent[];
}

export function createAnswerAssembler(): AnswerAssembler {
  let events: AnswerEvent[] = [];
  let isStarted = false;
  let isOver = false;
  let blockCount = 0;
  let open: BlockStart | null = null;
  let hasContent = false;
  const seen = { toolCall: false, refusal: false };

  const add = (event: AnswerEvent): void => {
    if (!isOver) events.push(event);
  };
  const addDelta = (delta: BlockDelta): void => add({ kind: 'delta', index: blockCount - 1, delta });

  const assembler: AnswerAssembler = {
    get isStarted() {
      return isStarted;
    },
    get isOver() {
      return isOver;
    },
    get blockCount() {
      return blockCount;
    },
    get openKind() {
      return open?.kind ?? null;
    },
    get hasContent() {
      return hasContent;
    },
    start(response) {
      if (isStarted) return;
      if (typeof response.id !== 'string') return assembler.fail(brokenStream('it began a response without an id'));
      const model = typeof response.model === 'string' ? response.model : '';
      add({ kind: 'start', id: response.id.replace(/^resp_/, ''), model, usage: readUsage(response.usage) });
      isStarted = true;
    },
    openBlock(block) {
      assembler.closeBlock();
      add({ kind: 'block_start', index: blockCount, block });
      blockCount += 1;
      open = block;
      hasContent = false;
      seen.toolCall ||= block.kind === 'tool_call';
      seen.refusal ||= block.kind === 'refusal';
    },
    addText(text) {
      const kind = open?.kind ?? 'redacted_thinking';
      if (kind === 'redacted_thinking') return;
      hasContent = true;
      addDelta(kind === 'tool_call' ? { kind: 'arguments', json: text } : { kind, text });
    },
    addSignature(signature) {
      if (open?.kind === 'thinking') addDelta({ kind: 'signature', signature });
    },
    beginNextPart() {
      assembler.addText(REASONING_SEPARATOR);
      hasContent = false;
    },
    closeBlock() {
      if (open !== null) add({ kind: 'block_end', index: blockCount - 1 });
      open = null;
    },
    addItem(item) {
      if (isObject(item)) addItem(assembler, item);
      else assembler.fail(brokenStream('it sent an output item that is not an object'));
    },
    conclude(response) {
      assembler.closeBlock();
      const ending = endingOf(response, seen);
      const usage = readUsage(response.usage);
      if (Object.keys(usage).length > 0) add({ kind: 'usage', usage });
      if (ending.kind === 'error') return assembler.fail(ending.error);
      add(ending);
      add({ kind: 'end' });
      isOver = true;
    },
    fail(error) {
      add({ kind: 'error', error });
      isOver = true;
    },
    ping() {
      if (isStarted) add({ kind: 'ping' });
    },
    take() {
      const taken = events;
      events = [];
      return taken;
    },
  };
  return assembler;
}

function addItem(assembler: AnswerAssembler, item: JsonObject): void {
  switch (item.type) {
    case 'message':
      for (const part of isList(item.content) ? item.content : []) addPart(assembler, part);
      return;
    case 'function_call':
      assembler.openBlock(toolCallStart(item));
      addNonEmpty(assembler, item.arguments);
      return assembler.closeBlock();
    case 'reasoning':
      return addReasoning(assembler, item);
    default:
      return assembler.fail(unknownItem(item));
  }
}

/** What an item of a type that we have no words for ends in: it is a part of the answer, and must not go missing. */
export function unknownItem(item: JsonObject): AnswerError {
  const type = typeof item.type === 'string' ? shown(item.type) : 'no type';
  return brokenStream(`it answered with an output item of type "${type}", which cannot be translated`);
}

export function toolCallStart(item: JsonObject): BlockStart {
  const text = (value: Json | undefined): string => (typeof value === 'string' ? value : '');
  return { kind: 'tool_call', id: text(item.call_id) || text(item.id), name: text(item.name) };
}

function addPart(assembler: AnswerAssembler, part: Json): void {
  if (!isObject(part)) return assembler.fail(brokenStream('it sent a content part that is not an object'));
  if (part.type !== 'output_text' && part.type !== 'refusal') return assembler.fail(unknownItem(part));
  assembler.openBlock({ kind: part.type === 'refusal' ? 'refusal' : 'text' });
  addNonEmpty(assembler, part.type === 'refusal' ? part.refusal : part.text);
  assembler.closeBlock();
}

/** An item with no text at all is redacted thinking when it has something encrypted, and nothing otherwise. */
function addReasoning(assembler: AnswerAssembler, item: JsonObject): void {
  const texts = reasoningTexts(item);
  const sealed = typeof item.encrypted_content === 'string' ? item.encrypted_content : undefined;
  if (texts.length > 0) {
    assembler.openBlock({ kind: 'thinking' });
    addNonEmpty(assembler, texts.join(REASONING_SEPARATOR));
    if (sealed !== undefined) assembler.addSignature(sealed);
  } else if (sealed !== undefined) assembler.openBlock({ kind: 'redacted_thinking', data: sealed });
  assembler.closeBlock();
}

function addNonEmpty(assembler: AnswerAssembler, text: Json | undefined): void {
  if (typeof text === 'string' && text !== '') assembler.addText(text);
}

type Stop = Extract<AnswerEvent, { readonly kind: 'stop' }>;
type Ending = Stop | { readonly kind: 'error'; readonly error: AnswerError };

function endingOf(response: JsonObject, seen: { readonly toolCall: boolean; readonly refusal: boolean }): Ending {
  const stop = (reason: StopReason): Stop => ({ kind: 'stop', reason });
  switch (response.status) {
    case 'completed':
      return stop(seen.toolCall ? 'tool_use' : seen.refusal ? 'refusal' : 'end_turn');
    case 'incomplete':
      return incompleteStop(isObject(response.incomplete_details) ? response.incomplete_details : {});
    case 'failed':
      return { kind: 'error', error: readError(response.error) };
    case 'cancelled':
      return { kind: 'error', error: brokenStream('it cancelled the response') };
    default:
      return { kind: 'error', error: brokenStream('it ended a response that is not complete') };
  }
}

/** No reason at all is what we write for a paused turn; an unknown one still says that the answer was cut short. */
function incompleteStop(details: JsonObject): Stop {
  if (details.reason === 'content_filter') {
    const said = isObject(details.refusal) ? details.refusal : undefined;
    const text = (value: Json | undefined): string | null => (typeof value === 'string' ? value : null);
    const refusal = said && { category: text(said.category), explanation: text(said.explanation) };
    return present({ kind: 'stop' as const, reason: 'refusal' as const, refusal });
  }
  return { kind: 'stop', reason: details.reason === undefined ? 'pause_turn' : 'max_tokens' };
}
