import type {
  DocumentPart,
  ImagePart,
  JsonObject,
  Part,
  Prompt,
  RefusalPart,
  TextPart,
  ToolResultPart,
  Turn,
} from '#contracts/prompt';
import { unreachable } from '#core/kernel';
import { present } from '../json.ts';
import type { Problems } from '../problems.ts';
import { ERROR_MARK, UNTITLED } from './carried-words.ts';
import { reasoningItem } from './reasoning-item.ts';

type MessagePart = TextPart | ImagePart | DocumentPart | RefusalPart;

/**
 * The items of `input`. Instructions after the first, which `instructions` holds, are a system message before the rest. A part
 * in the mouth of a role that cannot say it in this dialect is refused by its place.
 */
export function writeInput(problems: Problems, prompt: Prompt): readonly JsonObject[] {
  const items: JsonObject[] = [];
  const further = prompt.system.slice(1);
  if (further.length > 0) items.push(message({ role: 'system', parts: further, id: '' }));
  prompt.turns.forEach((turn, index) => writeTurn(problems, turn, `messages.${index}.content`, items));
  return items;
}

/** Parts that belong to one message stand together; the others are items of their own, in between, in order. */
function writeTurn(problems: Problems, turn: Turn, path: string, items: JsonObject[]): void {
  let pending: MessagePart[] = [];
  const flush = (): void => {
    if (pending.length > 0) items.push(message({ role: turn.role, parts: pending, id: `msg_${items.length}` }));
    pending = [];
  };
  if (turn.parts.length === 0) items.push(message({ role: turn.role, parts: [], id: `msg_${items.length}` }));
  turn.parts.forEach((part, index) => {
    if (!SAYABLE[turn.role].has(part.kind)) {
      problems.unsupported(
        `${path}.${index}`,
        `A ${part.kind} part of a turn of role ${turn.role} cannot be sent to this engine`,
      );
    } else if (part.kind === 'tool_call') {
      flush();
      items.push({ type: 'function_call', call_id: part.id, name: part.name, arguments: part.arguments });
    } else if (part.kind === 'tool_result') {
      flush();
      items.push(toolResult(part));
    } else if (part.kind === 'thinking' || part.kind === 'redacted_thinking') {
      flush();
      items.push(reasoningItem(`rs_${items.length}`, part));
    } else pending.push(part);
  });
  flush();
}

const SAYABLE: { readonly [role in Turn['role']]: ReadonlySet<Part['kind']> } = {
  user: new Set(['text', 'image', 'document', 'tool_result']),
  assistant: new Set(['text', 'refusal', 'tool_call', 'thinking', 'redacted_thinking']),
  system: new Set(['text']),
};

interface Message {
  readonly role: Turn['role'];
  readonly parts: readonly MessagePart[];
  /** Only the long form of an assistant's message has an id. */
  readonly id: string;
}

/** A message of one text is written in the short form, which every server of this API reads. */
function message({ role, parts, id }: Message): JsonObject {
  const [first, ...others] = parts;
  if (first?.kind === 'text' && others.length === 0) return { type: 'message', role, content: first.text };
  const content = parts.flatMap((part) => contentParts(part, role));
  if (role === 'assistant') return { type: 'message', id, status: 'completed', role, content };
  return { type: 'message', role, content };
}

function contentParts(part: MessagePart, role: Turn['role']): readonly JsonObject[] {
  switch (part.kind) {
    case 'refusal':
      return [{ type: 'refusal', refusal: part.text }];
    case 'image':
      return [imagePart(part)];
    case 'document':
      return documentParts(part);
    default:
      return [role === 'assistant' ? { type: 'output_text', text: part.text, annotations: [] } : textPart(part.text)];
  }
}

function textPart(text: string): JsonObject {
  return { type: 'input_text', text };
}

/** `detail` is always said: some servers of this API require it, and `auto` is what its absence means. */
function imagePart({ source, detail }: ImagePart): JsonObject {
  const image_url = source.kind === 'url' ? source.url : `data:${source.mediaType};base64,${source.data}`;
  return { type: 'input_image', image_url, detail: detail ?? 'auto' };
}

/** A document given as text is a text, under its title and context; others are files, after what is said about them. */
function documentParts({ source, title, context }: DocumentPart): readonly JsonObject[] {
  const notes = context === undefined ? [] : [textPart(context)];
  switch (source.kind) {
    case 'text':
      return [textPart([title, context, source.text].filter((words) => words !== undefined).join('\n\n'))];
    case 'url':
      return [...notes, present({ type: 'input_file', filename: title, file_url: source.url })];
    case 'base64': {
      const file_data = `data:${source.mediaType};base64,${source.data}`;
      return [...notes, { type: 'input_file', filename: title ?? UNTITLED, file_data }];
    }
    default:
      return unreachable(source);
  }
}

function toolResult({ callId, parts, isError }: ToolResultPart): JsonObject {
  const [first, ...others] = parts;
  const marked = isError === true ? [textPart(ERROR_MARK)] : [];
  const isPlain = first?.kind === 'text' && others.length === 0 && marked.length === 0;
  return present({
    type: 'function_call_output',
    call_id: callId,
    output: isPlain ? first.text : [...marked, ...parts.flatMap((part) => contentParts(part, 'user'))],
    status: isError === undefined ? undefined : isError ? 'incomplete' : 'completed',
  });
}
