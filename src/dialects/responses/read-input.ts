import type { ImagePart, Json, JsonObject, Part, TextPart, ToolResultPart, Turn } from '#contracts/prompt';
import { join, maybe, shown, type Fields } from '../fields.ts';
import { isList, present } from '../json.ts';
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
const FUNCTION_CALL_FIELDS = new Set(['type', 'id', 'status', 'call_id', 'name', 'arguments']);
const FUNCTION_OUTPUT_FIELDS = new Set(['type', 'id', 'status', 'call_id', 'name', 'output']);

function readMessage(fields: Fields, item: JsonObject, path: string, append: Append): void {
  fields.known(item, path, MESSAGE_FIELDS);
  const given = fields.word(item.role, join(path, 'role'), ['user', 'assistant', 'system', 'developer']);
  const role = given === 'developer' ? 'system' : given;
  append(role, readContent(fields, item.content, join(path, 'content'), role));
}

function readToolCall(fields: Fields, item: JsonObject, path: string): Part {
  fields.known(item, path, FUNCTION_CALL_FIELDS);
  return {
    kind: 'tool_call',
    id: fields.text(item.call_id, join(path, 'call_id')),
    name: fields.text(item.name, join(path, 'name')),
    arguments: fields.text(item.arguments, join(path, 'arguments')),
  };
}

/** That a tool failed has no other place in this dialect than the item's `status`: `incomplete` is read as `isError`. */
function readToolResult(fields: Fields, item: JsonObject, path: string): ToolResultPart {
  fields.known(item, path, FUNCTION_OUTPUT_FIELDS);
  const status = maybe(item.status, (word) =>
    fields.word(word, join(path, 'status'), ['in_progress', 'completed', 'incomplete']),
  );
  const parts = readContent(fields, item.output, join(path, 'output'), 'tool').filter(
    (part): part is TextPart | ImagePart => part.kind === 'text' || part.kind === 'image',
  );
  return present({
    kind: 'tool_result' as const,
    callId: fields.text(item.call_id, join(path, 'call_id')),
    parts,
    isError: status === 'incomplete' ? true : status === 'completed' ? false : undefined,
  });
}
