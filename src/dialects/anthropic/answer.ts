import type { AnswerEvent } from '#contracts/answer';
import { refusal, type Refusal } from '#contracts/errors';
import type { Json, JsonObject } from '#contracts/prompt';
import { err, ok, unreachable, type Result } from '#core/kernel';
import type { WriterOptions } from '../codec.ts';
import { shown } from '../fields.ts';
import { isList, isObject, parseJson, textOf } from '../json.ts';
import { answerEvents, collectAnswer, type WholeBlock } from '../whole-answer.ts';
import { readStop, writeStop } from './stop.ts';
import { readUsage, writeUsage } from './usage.ts';

/** Reads a whole message into the events that would have streamed it. */
export function readAnswer(body: Json): Result<readonly AnswerEvent[], Refusal> {
  if (!isObject(body) || !isList(body.content)) return broken('it is not a message');
  const blocks: WholeBlock[] = [];
  for (const content of body.content) {
    const block = isObject(content) ? readBlock(content) : null;
    if (block === null) {
      const type = isObject(content) && typeof content.type === 'string' ? content.type : 'unknown';
      return broken(`it has a content block of type "${shown(type)}", which cannot be translated`);
    }
    blocks.push(block);
  }
  const stop = readStop(body);
  if (stop === undefined) return broken('it has no stop reason that is known here');
  return ok(answerEvents({ id: textOf(body.id), model: textOf(body.model), blocks, usage: readUsage(body.usage), stop }));
}

/** Writes a whole message from a complete event sequence. */
export function writeAnswer(events: readonly AnswerEvent[], options: WriterOptions): JsonObject {
  const answer = collectAnswer(events);
  return {
    id: answer.id,
    type: 'message',
    role: 'assistant',
    model: options.model,
    content: answer.blocks.map(writeBlock),
    ...writeStop(answer.stop),
    usage: writeUsage(answer.usage),
  };
}

function broken(what: string): Result<never, Refusal> {
  return err(refusal('upstream_broken', `The engine's answer was broken: ${what}.`));
}

function readBlock(content: JsonObject): WholeBlock | null {
  switch (content.type) {
    case 'text':
      return { kind: 'text', text: textOf(content.text) };
    case 'thinking':
      return { kind: 'thinking', text: textOf(content.thinking), signature: textOf(content.signature) };
    case 'redacted_thinking':
      return { kind: 'redacted_thinking', data: textOf(content.data) };
    case 'tool_use':
      if (!isObject(content.input)) return null;
      return { kind: 'tool_call', id: textOf(content.id), name: textOf(content.name), arguments: JSON.stringify(content.input) };
    default:
      return null;
  }
}

function writeBlock(block: WholeBlock): JsonObject {
  switch (block.kind) {
    case 'text':
    case 'refusal':
      return { type: 'text', text: block.text };
    case 'thinking':
      return { type: 'thinking', thinking: block.text, signature: block.signature };
    case 'redacted_thinking':
      return { type: 'redacted_thinking', data: block.data };
    case 'tool_call':
      return { type: 'tool_use', id: block.id, name: block.name, input: readInput(block.arguments) };
    default:
      return unreachable(block);
  }
}

/**
 * Arguments that are not the JSON of an object (a model cut off by its token cap writes half of one) are handed on as the text they
 * are, which no tool can take for arguments; a stream would have carried the same text.
 */
function readInput(json: string): Json {
  if (json.trim() === '') return {};
  const input = parseJson(json);
  return isObject(input) ? input : json;
}
