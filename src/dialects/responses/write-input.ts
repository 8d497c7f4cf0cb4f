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
import { present } from '../json.ts';
import type { Problems } from '../problems.ts';
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
  prompt.turns.forEach((turn, index) => writeTurn(problems, turn, `turns.${index}`, items));
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
      const at = `${path}.parts.${index}`;
      problems.unsupported(at, `OpenAI Responses cannot say a ${part.kind} in a turn of role ${turn.role}`);
    } else if (part.kind === 'tool_call') {
      flush();
      items.push({ type: 'function_call', call_id: part.id, name: part.name, arguments: part.arguments });
    } else if (part.kind === 'tool_result') {
      flush();
      items.push(toolResult(part));
    } else if (part.kind === 'thinking' || part.kind === 'redacted_thinking') {
      flush();
      items.push(reasoningItem(`rs_${items.length}`, part));
    } else {
      if (part.kind === 'document') refuseDocument(problems, part, `${path}.parts.${index}`);
      pending.push(part);
    }
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
  const content = parts.map((part) => contentPart(part, role));
  if (role === 'assistant') return { type: 'message', id, status: 'completed', role, content };
  return { type: 'message', role, content };
}

function contentPart(part: MessagePart, role: Turn['role']): JsonObject {
  switch (part.kind) {
    case 'refusal':
      return { type: 'refusal', refusal: part.text };
    case 'image':
      return imagePart(part);
    case 'document':
      return documentPart(part);
    default:
      return role === 'assistant'
        ? { type: 'output_text', text: part.text, annotations: [] }
        : { type: 'input_text', text: part.text };
  }
}

/** `detail` is always said: some servers of this API require it, and `auto` is what its absence means. */
function imagePart({ source, detail }: ImagePart): JsonObject {
  const image_url = source.kind === 'url' ? source.url : `data:${source.mediaType};base64,${source.data}`;
  return { type: 'input_image', image_url, detail: detail ?? 'auto' };
}

function documentPart({ source, title }: DocumentPart): JsonObject {
  return present({
    type: 'input_file',
    filename: title,
    file_url: source.kind === 'url' ? source.url : undefined,
    file_data: source.kind === 'base64' ? `data:${source.mediaType};base64,${source.data}` : undefined,
  });
}

function refuseDocument(problems: Problems, { source, context }: DocumentPart, path: string): void {
  if (source.kind === 'text') problems.unsupported(`${path}.source`, 'OpenAI Responses takes documents as base64 or by URL only');
  if (context !== undefined) problems.unsupported(`${path}.context`, 'OpenAI Responses has no context beside a document');
}

function toolResult({ callId, parts, isError }: ToolResultPart): JsonObject {
  const [first, ...others] = parts;
  return present({
    type: 'function_call_output',
    call_id: callId,
    output: first?.kind === 'text' && others.length === 0 ? first.text : parts.map((part) => contentPart(part, 'user')),
    status: isError === undefined ? undefined : isError ? 'incomplete' : 'completed',
  });
}
