import type { ImagePart, Json, JsonObject, Part, TextPart, ToolResultPart, Turn } from '#contracts/prompt';
import { join, maybe, shown, type Fields } from '../fields.ts';
import { isList, present } from '../json.ts';
import { ERROR_MARK } from './carried-words.ts';
import { readContent } from './read-content.ts';
import { readReasoning } from './reasoning-item.ts';

interface Input {
  readonly system: readonly TextPart[];
  readonly turns: readonly Turn[];
}

/**
 * The `input` of a request. This dialect lists items one by one; ours has turns: neighbors of one role become one turn, and
 * system or developer messages that stand first become instructions. What an item says of its own history (`id`, `status` of a
 * message, `phase`) is set aside.
 */
export function readInput(fields: Fields, value: Json | undefined): Input {
  const system: TextPart[] = [];
  const turns: { role: Turn['role']; parts: Part[] }[] = [];
  const append = (role: Turn['role'], parts: readonly Part[]): void => {
    const last = turns.at(-1);
    if (role === 'system' && last === undefined) system.push(...parts.filter((part) => part.kind === 'text'));
    else if (last?.role === role) for (const part of parts) last.parts.push(part);
    else turns.push({ role, parts: [...parts] });
  };
  if (typeof value === 'string') append('user', [{ kind: 'text', text: value }]);
  else if (isList(value)) value.forEach((item, index) => readItem(fields, item, join('input', index), append));
  else fields.problems.invalid('input', 'Expected a string or a list of items');
  return { system, turns };
}

type Append = (role: Turn['role'], parts: readonly Part[]) => void;

function readItem(fields: Fields, value: Json, path: string, append: Append): void {
  const item = fields.object(value, path);
  // The short form of a message has no type.
  const type = item.type === undefined && item.role !== undefined ? 'message' : fields.text(item.type, join(path, 'type'));
  switch (type) {
    case 'message':
      return readMessage(fields, item, path, append);
    case 'function_call':
      return append('assistant', [readToolCall(fields, item, path)]);
    case 'function_call_output':
      return append('user', [readToolResult(fields, item, path)]);
    case 'reasoning':
      return append('assistant', [readReasoning(fields, item, path)]);
    case 'item_reference':
      return fields.problems.unsupported(path, 'No items are kept here to refer to by id; send the item itself');
    default:
      return fields.problems.unsupported(join(path, 'type'), `Items of type "${shown(type)}" cannot be sent to this engine`);
  }
}

const MESSAGE_FIELDS = new Set(['type', 'role', 'content', 'id', 'status', 'phase']);
// `parsed_arguments` is what the official client adds to the calls that it hands out, and that people send back with them.
const FUNCTION_CALL_FIELDS = new Set([
  'type',
  'id',
  'status',
  'call_id',
  'name',
  'arguments',
  'caller',
  'async',
  'parsed_arguments',
]);
const FUNCTION_OUTPUT_FIELDS = new Set(['type', 'id', 'status', 'call_id', 'name', 'output', 'caller']);

function readMessage(fields: Fields, item: JsonObject, path: string, append: Append): void {
  fields.known(item, path, MESSAGE_FIELDS);
  const given = fields.word(item.role, join(path, 'role'), ['user', 'assistant', 'system', 'developer']);
  const role = given === 'developer' ? 'system' : given;
  append(role, readContent(fields, item.content, join(path, 'content'), role));
}

function readToolCall(fields: Fields, item: JsonObject, path: string): Part {
  fields.known(item, path, FUNCTION_CALL_FIELDS);
  refuseProgram(fields, item, path);
  if (maybe(item.async, (flag) => fields.boolean(flag, join(path, 'async'))))
    fields.problems.unsupported(join(path, 'async'), 'This engine waits for what it calls');
  return {
    kind: 'tool_call',
    id: fields.text(item.call_id, join(path, 'call_id')),
    name: fields.text(item.name, join(path, 'name')),
    arguments: fields.text(item.arguments, join(path, 'arguments')),
  };
}

/** A tool that failed is said by the item's `status`, and by a mark of ours before its output, which is taken off again. */
function readToolResult(fields: Fields, item: JsonObject, path: string): ToolResultPart {
  fields.known(item, path, FUNCTION_OUTPUT_FIELDS);
  refuseProgram(fields, item, path);
  const status = maybe(item.status, (word) =>
    fields.word(word, join(path, 'status'), ['in_progress', 'completed', 'incomplete']),
  );
  const given = readContent(fields, item.output, join(path, 'output'), 'tool').filter(
    (part): part is TextPart | ImagePart => part.kind === 'text' || part.kind === 'image',
  );
  const isMarked = status === 'incomplete' && isList(item.output) && given[0]?.kind === 'text' && given[0].text === ERROR_MARK;
  return present({
    kind: 'tool_result' as const,
    callId: fields.text(item.call_id, join(path, 'call_id')),
    parts: isMarked ? given.slice(1) : given,
    isError: status === 'incomplete' ? true : status === 'completed' ? false : undefined,
  });
}

/** A call that a program of the vendor's made, and not the model, means nothing to another engine. */
function refuseProgram(fields: Fields, item: JsonObject, path: string): void {
  const at = join(path, 'caller');
  const caller = maybe(item.caller, (value) => fields.object(value, at));
  if (caller !== undefined && caller.type !== 'direct')
    fields.problems.unsupported(at, 'Only tool calls made by the model itself can be sent to this engine');
}
