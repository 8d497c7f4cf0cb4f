import type { AnswerError, AnswerEvent, BlockDelta, BlockStart } from '#contracts/answer';
import type { Json, JsonObject } from '#contracts/prompt';
import { brokenStream, cutStream } from '../broken-stream.ts';
import type { EventReader } from '../codec.ts';
import { readOpenaiError } from '../error-types.ts';
import { shown } from '../fields.ts';
import { isList, isObject, parseJson, textOf } from '../json.ts';
import type { WholeStop } from '../whole-answer.ts';
import { readStop } from './stop.ts';
import { readUsage } from './usage.ts';

/**
 * Reads the chunks of a Chat Completions stream. States: `before` (no chunk yet) → `open` → `finished` (a finish reason came; only
 * usage may follow) → `done` ([DONE], the end of the bytes, or an error). Chunks have no blocks: one begins when the kind of
 * content, or the index of the tool call, changes. The stop waits for the end, since usage comes after the finish reason.
 */
export function createEventReader(): EventReader {
  let state: 'before' | 'open' | 'finished' | 'done' = 'before';
  let answerId = '';
  let stop: WholeStop | null = null;
  let blocks = 0;
  let open: OpenBlock | null = null;
  let hasRefusal = false;
  /** Index of the newest tool call. Calls come one after another: a piece of an earlier one could no longer be placed. */
  let lastCall = -1;

  const fail = (error: AnswerError): readonly AnswerEvent[] => {
    state = 'done';
    return [{ kind: 'error', error }];
  };

  const closeBlock = (): readonly AnswerEvent[] => {
    if (open === null) return [];
    open = null;
    return [{ kind: 'block_end', index: blocks - 1 }];
  };

  const openBlock = (block: BlockStart): readonly AnswerEvent[] => {
    const closed = closeBlock();
    open = { kind: block.kind };
    blocks += 1;
    return [...closed, { kind: 'block_start', index: blocks - 1, block }];
  };

  const add = (delta: BlockDelta): AnswerEvent => ({ kind: 'delta', index: blocks - 1, delta });

  const readText = (kind: 'text' | 'thinking' | 'refusal', value: Json | undefined): readonly AnswerEvent[] => {
    if (typeof value !== 'string' || value === '') return [];
    if (kind === 'refusal') hasRefusal = true;
    return [...(open?.kind === kind ? [] : openBlock({ kind })), add({ kind, text: value })];
  };

  /** A call's first piece has its name; some servers leave out the id, or the index. */
  const readCall = (value: Json): readonly AnswerEvent[] | AnswerError => {
    const call = isObject(value) ? value : {};
    const called = isObject(call.function) ? call.function : {};
    const isNamed = textOf(called.name) !== '';
    const index = typeof call.index === 'number' ? call.index : isNamed ? lastCall + 1 : lastCall;
    if ((call.type ?? 'function') !== 'function') return brokenStream('it called something that is not a function');
    if (index < lastCall || index < 0) return brokenStream('it mixed the pieces of its tool calls');
    const isNew = index > lastCall;
    if (isNew && !isNamed) return brokenStream('it began a tool call without a name');
    if (!isNew && open?.kind !== 'tool_call') return brokenStream('it went on with a tool call that had ended');
    if ((called.arguments ?? null) !== null && typeof called.arguments !== 'string')
      return brokenStream('it sent the arguments of a tool call as something else than text');
    lastCall = index;
    const json = textOf(called.arguments);
    const name = textOf(called.name);
    return [
      ...(isNew ? openBlock({ kind: 'tool_call', id: textOf(call.id) || `call_${index}_${answerId}`, name }) : []),
      ...(json === '' ? [] : [add({ kind: 'arguments', json })]),
    ];
  };

  const readDelta = (delta: JsonObject): readonly AnswerEvent[] => {
    const events: AnswerEvent[] = [
      ...readText('thinking', delta.reasoning_content ?? delta.reasoning),
      ...readText('text', delta.content),
      ...readText('refusal', delta.refusal),
    ];
    for (const call of isList(delta.tool_calls) ? delta.tool_calls : []) {
      const read = readCall(call);
      if (!isEvents(read)) return [...events, ...fail(read)];
      events.push(...read);
    }
    const foreign = ['function_call', 'audio'].find((field) => (delta[field] ?? null) !== null);
    return foreign === undefined ? events : [...events, ...fail(brokenStream(`it sent ${foreign}, which cannot be translated`))];
  };

  const readChoice = (choice: JsonObject): readonly AnswerEvent[] => {
    if ((choice.index ?? 0) !== 0) return fail(brokenStream('it sent more than one choice'));
    const content = isObject(choice.delta) ? readDelta(choice.delta) : [];
    if (isDone(state)) return content;
    if (state === 'finished' && content.length > 0) return fail(brokenStream('it sent content after its finish reason'));
    const reason = choice.finish_reason ?? null;
    if (reason === null || state === 'finished') return content;
    const read = readStop(choice, { hasCalls: lastCall >= 0, hasRefusal });
    if (read === undefined)
      return [...content, ...fail(brokenStream(`it finished for a reason, "${shown(textOf(reason))}", that is not known here`))];
    stop = read;
    state = 'finished';
    return [...content, ...closeBlock()];
  };

  const readChunk = (chunk: JsonObject): readonly AnswerEvent[] => {
    const events: AnswerEvent[] = [];
    if (state === 'before') {
      // Azure says first what its filter thought of the prompt, in a chunk that belongs to no answer yet.
      if (textOf(chunk.id) === '' && isList(chunk.choices) && chunk.choices.length === 0) return events;
      state = 'open';
      answerId = textOf(chunk.id);
      events.push({ kind: 'start', id: answerId, model: textOf(chunk.model), usage: {} });
    }
    for (const choice of isList(chunk.choices) ? chunk.choices : []) {
      if (isObject(choice)) events.push(...readChoice(choice));
      if (isDone(state)) return events;
    }
    const usage = readUsage(chunk.usage);
    if (Object.keys(usage).length > 0) events.push({ kind: 'usage', usage });
    return events;
  };

  const finish = (): readonly AnswerEvent[] => {
    if (state === 'done') return [];
    if (stop === null) return fail(cutStream());
    state = 'done';
    return [{ kind: 'stop', ...stop }, { kind: 'end' }];
  };

  return {
    read(name, data) {
      if (state === 'done') return [];
      if (data === '[DONE]') return finish();
      const chunk = parseJson(data);
      if (!isObject(chunk)) return fail(brokenStream('it sent a chunk that is not a JSON object'));
      const error = readOpenaiError(chunk, name);
      return error === null ? readChunk(chunk) : fail(error);
    },
    // A finish reason is the engine's word that the answer is whole: some servers close without [DONE].
    end: finish,
  };
}

interface OpenBlock {
  readonly kind: BlockStart['kind'];
}

function isEvents(read: readonly AnswerEvent[] | AnswerError): read is readonly AnswerEvent[] {
  return Array.isArray(read);
}

/** The state may have changed inside a call, which the compiler does not see. */
function isDone(state: string): boolean {
  return state === 'done';
}
