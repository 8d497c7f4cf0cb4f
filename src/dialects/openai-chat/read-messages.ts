import type { DocumentPart, ImagePart, Json, JsonObject, Part, TextPart, ToolResultPart, Turn } from '#contracts/prompt';
import { join, maybe, shown, type Fields } from '../fields.ts';
import { isList, present } from '../json.ts';

const MESSAGE_FIELDS = new Set(['role', 'content']);
const TOOL_MESSAGE_FIELDS = new Set(['role', 'content', 'tool_call_id']);
const ASSISTANT_FIELDS = new Set([
  'role',
  'content',
  'refusal',
  'tool_calls',
  // How vLLM, SGLang and DeepSeek show thinking, and take it back.
  'reasoning_content',
  'reasoning',
  'annotations',
]);
const TOOL_CALL_FIELDS = new Set(['id', 'type', 'function', 'index']);
const FUNCTION_FIELDS = new Set(['name', 'arguments']);
// A breakpoint for the prompt cache is a hint, with lifetimes of OpenAI's own.
const TEXT_FIELDS = new Set(['type', 'text', 'prompt_cache_breakpoint']);
const IMAGE_FIELDS = new Set(['type', 'image_url', 'prompt_cache_breakpoint']);
const FILE_FIELDS = new Set(['type', 'file', 'prompt_cache_breakpoint']);

/**
 * Reads `messages`. System and developer messages that stand first are the prompt's system; later ones are turns. Tool messages
 * join the user message that follows them into one turn, since together they are what the model is answered.
 */
export function readMessages(
  fields: Fields,
  value: Json | undefined,
): { readonly system: readonly TextPart[]; readonly turns: readonly Turn[] } {
  const system: TextPart[] = [];
  const turns: Turn[] = [];
  let results: ToolResultPart[] = [];
  const endResults = () => {
    if (results.length > 0) turns.push({ role: 'user', parts: results });
    results = [];
  };
  const messages = fields.list(value, 'messages');
  if (isList(value) && value.length === 0) fields.problems.invalid('messages', 'At least one message is required');
  for (const [index, entry] of messages.entries()) {
    const path = join('messages', index);
    const message = fields.object(entry, path);
    const role = readRole(fields, message.role, join(path, 'role'));
    if (role === 'tool') {
      results.push(readToolMessage(fields, message, path));
      continue;
    }
    if (role === 'user') {
      fields.known(message, path, MESSAGE_FIELDS);
      turns.push({ role, parts: [...results, ...readUserContent(fields, message.content, join(path, 'content'))] });
      results = [];
      continue;
    }
    endResults();
    if (role === 'assistant') turns.push({ role, parts: readAssistant(fields, message, path) });
    else {
      fields.known(message, path, MESSAGE_FIELDS);
      const texts = readTexts(fields, message.content, join(path, 'content'));
      if (turns.length === 0) system.push(...texts);
      else turns.push({ role: 'system', parts: texts });
    }
  }
  endResults();
  return { system, turns };
}

function readRole(fields: Fields, value: Json | undefined, path: string): Turn['role'] | 'tool' {
  const role = fields.word(value, path, ['user', 'assistant', 'system', 'developer', 'tool', 'function']);
  if (role === 'function') fields.problems.unsupported(path, 'Function messages are from before tools: use the tool role');
  return role === 'developer' || role === 'function' ? 'system' : role;
}

function readTexts(fields: Fields, content: Json | undefined, path: string): readonly TextPart[] {
  if (typeof content === 'string') return [{ kind: 'text', text: content }];
  return fields.list(content, path).map((value, index) => {
    const at = join(path, index);
    const part = fields.object(value, at);
    fields.word(part.type, join(at, 'type'), ['text']);
    return readText(fields, part, at);
  });
}

function readText(fields: Fields, part: JsonObject, path: string): TextPart {
  fields.known(part, path, TEXT_FIELDS);
  return { kind: 'text', text: fields.text(part.text, join(path, 'text')) };
}

function readToolMessage(fields: Fields, message: JsonObject, path: string): ToolResultPart {
  fields.known(message, path, TOOL_MESSAGE_FIELDS);
  return {
    kind: 'tool_result',
    callId: fields.text(message.tool_call_id, join(path, 'tool_call_id')),
    parts: readTexts(fields, message.content, join(path, 'content')),
  };
}

function readUserContent(fields: Fields, content: Json | undefined, path: string): readonly Part[] {
  if (typeof content === 'string') return [{ kind: 'text', text: content }];
  return fields.list(content, path).flatMap((value, index): readonly Part[] => {
    const at = join(path, index);
    const part = fields.object(value, at);
    switch (part.type) {
      case 'text':
        return [readText(fields, part, at)];
      case 'image_url':
        return [readImage(fields, part, at)];
      case 'file':
        return [readFile(fields, part, at)];
      default: {
        const type = shown(fields.text(part.type, join(at, 'type')));
        fields.problems.unsupported(join(at, 'type'), `Content of type "${type}" cannot be sent to this engine`);
        return [];
      }
    }
  });
}

function readImage(fields: Fields, part: JsonObject, path: string): ImagePart {
  fields.known(part, path, IMAGE_FIELDS);
  const at = join(path, 'image_url');
  const image = fields.object(part.image_url, at);
  const url = fields.text(image.url, join(at, 'url'));
  return present({
    kind: 'image' as const,
    source: url.startsWith('data:') ? readDataUri(fields, url, join(at, 'url')) : { kind: 'url' as const, url },
    detail: maybe(image.detail, (detail) => fields.word(detail, join(at, 'detail'), ['auto', 'low', 'high', 'original'])),
  });
}

function readFile(fields: Fields, part: JsonObject, path: string): DocumentPart {
  fields.known(part, path, FILE_FIELDS);
  const at = join(path, 'file');
  const file = fields.object(part.file, at);
  if ((file.file_id ?? null) !== null)
    fields.problems.unsupported(join(at, 'file_id'), 'Uploaded files stay where they were uploaded; send the data itself');
  return present({
    kind: 'document' as const,
    source: readDataUri(fields, fields.text(file.file_data, join(at, 'file_data')), join(at, 'file_data')),
    title: maybe(file.filename, (name) => fields.text(name, join(at, 'filename'))),
  });
}

/** `data:<media type>;base64,<data>`. The data may be megabytes: it is cut off, not matched. */
function readDataUri(
  fields: Fields,
  uri: string,
  path: string,
): { readonly kind: 'base64'; readonly mediaType: string; readonly data: string } {
  const comma = uri.indexOf(',');
  const head = uri.slice(0, Math.max(comma, 0));
  if (!head.startsWith('data:') || !head.endsWith(';base64'))
    fields.problems.invalid(path, 'Expected data:<media type>;base64,<data>');
  return { kind: 'base64', mediaType: head.slice('data:'.length, -';base64'.length), data: uri.slice(comma + 1) };
}

function readAssistant(fields: Fields, message: JsonObject, path: string): readonly Part[] {
  fields.known(message, path, ASSISTANT_FIELDS);
  if (isList(message.annotations) ? message.annotations.length > 0 : (message.annotations ?? null) !== null)
    fields.problems.unsupported(join(path, 'annotations'), 'Annotations cannot be sent to this engine');
  const reasoning = message.reasoning_content ?? message.reasoning;
  const parts: readonly Part[] = [
    ...text(
      'thinking',
      maybe(reasoning, (value) => fields.text(value, join(path, 'reasoning_content'))),
    ),
    ...(maybe(message.content, (content) => readAssistantContent(fields, content, join(path, 'content'))) ?? []),
    ...text(
      'refusal',
      maybe(message.refusal, (value) => fields.text(value, join(path, 'refusal'))),
    ),
    ...(maybe(message.tool_calls, (calls) => readToolCalls(fields, calls, join(path, 'tool_calls'))) ?? []),
  ];
  // Clients send "" beside tool calls; alone it is what the assistant said.
  if (parts.length === 0 && typeof message.content === 'string') return [{ kind: 'text', text: message.content }];
  if (parts.length === 0) fields.problems.invalid(join(path, 'content'), 'Field required unless there are tool_calls');
  return parts;
}

function text(kind: 'text' | 'thinking' | 'refusal', value: string | undefined): readonly Part[] {
  return value === undefined || value === '' ? [] : [{ kind, text: value }];
}

function readAssistantContent(fields: Fields, content: Json, path: string): readonly Part[] {
  if (typeof content === 'string') return text('text', content);
  return fields.list(content, path).map((value, index): Part => {
    const at = join(path, index);
    const part = fields.object(value, at);
    if (fields.word(part.type, join(at, 'type'), ['text', 'refusal']) === 'text') return readText(fields, part, at);
    return { kind: 'refusal', text: fields.text(part.refusal, join(at, 'refusal')) };
  });
}

function readToolCalls(fields: Fields, value: Json, path: string): readonly Part[] {
  return fields.list(value, path).map((entry, index): Part => {
    const at = join(path, index);
    const call = fields.object(entry, at);
    fields.known(call, at, TOOL_CALL_FIELDS);
    if ((call.type ?? 'function') !== 'function')
      fields.problems.unsupported(join(at, 'type'), 'Only calls of functions can be sent');
    const called = fields.object(call.function, join(at, 'function'));
    fields.known(called, join(at, 'function'), FUNCTION_FIELDS);
    return {
      kind: 'tool_call',
      id: fields.text(call.id, join(at, 'id')),
      name: fields.text(called.name, join(at, 'function.name')),
      arguments: fields.text(called.arguments, join(at, 'function.arguments')),
    };
  });
}
