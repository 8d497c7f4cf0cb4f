import type { AnswerEvent } from '#contracts/answer';
import { refusal, type Refusal } from '#contracts/errors';
import type { Json, JsonObject } from '#contracts/prompt';
import { err, ok, type Result } from '#core/kernel';
import type { WriterOptions } from '../codec.ts';
import { isList, isObject, present, textOf } from '../json.ts';
import { answerEvents, collectAnswer, type WholeAnswer, type WholeBlock } from '../whole-answer.ts';
import { readStop, writeFinishReason } from './stop.ts';
import { readUsage, writeUsage } from './usage.ts';

/** Reads a whole completion into the events that would have streamed it. */
export function readAnswer(body: Json): Result<readonly AnswerEvent[], Refusal> {
  const choices = isObject(body) && isList(body.choices) ? body.choices : [];
  const [choice] = choices;
  if (!isObject(body) || !isObject(choice) || !isObject(choice.message)) return broken('it is not a completion');
  if (choices.length > 1) return broken('it has more than one choice');
  const { message } = choice;
  const foreign = ['function_call', 'audio'].find((field) => (message[field] ?? null) !== null);
  if (foreign !== undefined) return broken(`it has ${foreign}, which cannot be translated`);
  const id = textOf(body.id);
  const calls = readCalls(message.tool_calls, id);
  if (calls === null) return broken('it has a tool call that is not one of a function');
  const blocks: readonly WholeBlock[] = [
    ...textBlock('thinking', message.reasoning_content ?? message.reasoning),
    ...textBlock('text', message.content),
    ...textBlock('refusal', message.refusal),
    ...calls,
  ];
  const stop = readStop(choice, { hasCalls: calls.length > 0, hasRefusal: blocks.some((block) => block.kind === 'refusal') });
  if (stop === undefined) return broken('it has no finish reason that is known here');
  return ok(answerEvents({ id, model: textOf(body.model), blocks, usage: readUsage(body.usage), stop }));
}

/** Writes a whole completion from a complete event sequence. */
export function writeAnswer(events: readonly AnswerEvent[], options: WriterOptions): JsonObject {
  const answer = collectAnswer(events);
  const hasRefusal = answer.blocks.some((block) => block.kind === 'refusal');
  const hasCalls = answer.blocks.some((block) => block.kind === 'tool_call');
  return {
    id: answer.id,
    object: 'chat.completion',
    created: options.createdAtS,
    model: options.model,
    choices: [
      {
        index: 0,
        message: writeMessage(answer),
        logprobs: null,
        finish_reason: writeFinishReason(answer.stop.reason, { hasCalls, hasRefusal }),
      },
    ],
    usage: writeUsage(answer.usage),
  };
}

function broken(what: string): Result<never, Refusal> {
  return err(refusal('upstream_broken', `The engine's answer was broken: ${what}.`));
}

function textBlock(kind: 'text' | 'thinking' | 'refusal', value: Json | undefined): readonly WholeBlock[] {
  const text = textOf(value);
  if (text === '') return [];
  return kind === 'thinking' ? [{ kind, text, signature: '' }] : [{ kind, text }];
}

/** The calls of a message; null when one is of a kind we do not know. Ids that a server left out are made from the answer's. */
function readCalls(value: Json | undefined, answerId: string): readonly WholeBlock[] | null {
  const blocks: WholeBlock[] = [];
  for (const [index, call] of (isList(value) ? value : []).entries()) {
    if (!isObject(call) || (call.type ?? 'function') !== 'function' || !isObject(call.function)) return null;
    const { name, arguments: json } = call.function;
    if (typeof name !== 'string' || name === '' || typeof json !== 'string') return null;
    blocks.push({ kind: 'tool_call', id: textOf(call.id) || `call_${index}_${answerId}`, name, arguments: json });
  }
  return blocks;
}

function writeMessage({ blocks, stop }: WholeAnswer): JsonObject {
  const texts = blocks.filter((block) => block.kind === 'text').map((block) => block.text);
  const thoughts = blocks.filter((block) => block.kind === 'thinking').map((block) => block.text);
  const refusals = blocks.filter((block) => block.kind === 'refusal').map((block) => block.text);
  const calls = blocks.filter((block) => block.kind === 'tool_call');
  const explanation = stop.reason === 'refusal' ? (stop.refusal?.explanation ?? '') : '';
  return present({
    role: 'assistant',
    content: texts.length === 0 ? null : texts.join(''),
    refusal: refusals.length > 0 ? refusals.join('') : explanation === '' ? null : explanation,
    reasoning_content: thoughts.length === 0 ? undefined : thoughts.join(''),
    tool_calls:
      calls.length === 0
        ? undefined
        : calls.map((call) => ({
            id: call.id,
            type: 'function',
            function: { name: call.name, arguments: call.arguments.trim() === '' ? '{}' : call.arguments },
          })),
  });
}
