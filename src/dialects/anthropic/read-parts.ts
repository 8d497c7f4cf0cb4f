import type {
  CacheMark,
  DocumentPart,
  ImagePart,
  Json,
  JsonObject,
  Part,
  TextPart,
  ToolCallPart,
  ToolResultPart,
  Turn,
} from '#contracts/prompt';
import { join, maybe, shown, type Fields } from '../fields.ts';
import { isList, isObject, present } from '../json.ts';

/** Which blocks each role may hold. What we know and a role may not hold is the client's mistake; what we do not know is refused. */
const BLOCKS: Readonly<Record<Turn['role'], readonly string[]>> = {
  user: ['text', 'image', 'document', 'tool_result'],
  assistant: ['text', 'thinking', 'redacted_thinking', 'tool_use'],
  system: ['text'],
};
const ALL_BLOCKS: ReadonlySet<string> = new Set([...BLOCKS.user, ...BLOCKS.assistant]);

const TEXT_FIELDS = new Set(['type', 'text', 'cache_control', 'citations']);
const IMAGE_FIELDS = new Set(['type', 'source', 'cache_control']);
const DOCUMENT_FIELDS = new Set(['type', 'source', 'title', 'context', 'citations', 'cache_control']);
const TOOL_USE_FIELDS = new Set(['type', 'id', 'name', 'input', 'caller', 'cache_control']);
const TOOL_RESULT_FIELDS = new Set(['type', 'tool_use_id', 'content', 'is_error', 'cache_control']);
const THINKING_FIELDS = new Set(['type', 'thinking', 'signature']);
const REDACTED_FIELDS = new Set(['type', 'data']);

/** A message's content, which is a string or a list of blocks, as parts. */
export function readContent(fields: Fields, content: Json | undefined, path: string, role: Turn['role']): readonly Part[] {
  if (typeof content === 'string') return [{ kind: 'text', text: content }];
  return fields.list(content, path).flatMap((block, index) => readBlock(fields, block, join(path, index), role));
}

/** A list of text blocks (or one string): the `system` field. An empty string says nothing. */
export function readTextBlocks(fields: Fields, content: Json, path: string): readonly TextPart[] {
  if (typeof content === 'string') return content === '' ? [] : [{ kind: 'text', text: content }];
  return fields.list(content, path).map((block, index) => {
    const at = join(path, index);
    const object = fields.object(block, at);
    fields.word(object.type, join(at, 'type'), ['text']);
    return readText(fields, object, at);
  });
}

/** `cache_control`, where there is one. */
export function readCacheMark(fields: Fields, value: Json | undefined, path: string): CacheMark | undefined {
  return maybe(value, (mark) => {
    const object = fields.object(mark, path);
    fields.word(object.type, join(path, 'type'), ['ephemeral']);
    return { ttl: maybe(object.ttl, (ttl) => fields.word(ttl, join(path, 'ttl'), ['5m', '1h'])) ?? '5m' };
  });
}

function readBlock(fields: Fields, value: Json, path: string, role: Turn['role']): readonly Part[] {
  const block = fields.object(value, path);
  const type = fields.text(block.type, join(path, 'type'));
  if (!BLOCKS[role].includes(type)) {
    if (ALL_BLOCKS.has(type)) fields.problems.invalid(path, `A ${type} block is not allowed in a message of role ${role}`);
    else fields.problems.unsupported(join(path, 'type'), `Blocks of type "${shown(type)}" cannot be sent to this engine`);
    return [];
  }
  switch (type) {
    case 'text':
      return [readText(fields, block, path)];
    case 'image':
      return [readImage(fields, block, path)];
    case 'document':
      return [readDocument(fields, block, path)];
    case 'tool_use':
      return [readToolUse(fields, block, path)];
    case 'tool_result':
      return [readToolResult(fields, block, path)];
    case 'thinking':
      return [readThinking(fields, block, path)];
    default:
      fields.known(block, path, REDACTED_FIELDS);
      return [{ kind: 'redacted_thinking', data: fields.text(block.data, join(path, 'data')) }];
  }
}

function readText(fields: Fields, block: JsonObject, path: string): TextPart {
  fields.known(block, path, TEXT_FIELDS);
  refuseCitations(fields, block.citations, path);
  return present({
    kind: 'text' as const,
    text: fields.text(block.text, join(path, 'text')),
    cache: readCacheMark(fields, block.cache_control, join(path, 'cache_control')),
  });
}

function readImage(fields: Fields, block: JsonObject, path: string): ImagePart {
  fields.known(block, path, IMAGE_FIELDS);
  const at = join(path, 'source');
  const source = fields.object(block.source, at);
  return present({
    kind: 'image' as const,
    source: readUrlOrData(fields, source, at) ?? refuseSource(fields, source, at),
    cache: readCacheMark(fields, block.cache_control, join(path, 'cache_control')),
  });
}

function readDocument(fields: Fields, block: JsonObject, path: string): DocumentPart {
  fields.known(block, path, DOCUMENT_FIELDS);
  refuseCitations(fields, block.citations, path);
  const at = join(path, 'source');
  const source = fields.object(block.source, at);
  return present({
    kind: 'document' as const,
    source:
      source.type === 'text'
        ? { kind: 'text' as const, text: fields.text(source.data, join(at, 'data')) }
        : (readUrlOrData(fields, source, at) ?? refuseSource(fields, source, at)),
    title: maybe(block.title, (title) => fields.text(title, join(path, 'title'))),
    context: maybe(block.context, (context) => fields.text(context, join(path, 'context'))),
    cache: readCacheMark(fields, block.cache_control, join(path, 'cache_control')),
  });
}

function readUrlOrData(fields: Fields, source: JsonObject, path: string): ImagePart['source'] | undefined {
  if (source.type === 'url') return { kind: 'url', url: fields.text(source.url, join(path, 'url')) };
  if (source.type !== 'base64') return undefined;
  return {
    kind: 'base64',
    mediaType: fields.text(source.media_type, join(path, 'media_type')),
    data: fields.text(source.data, join(path, 'data')),
  };
}

function refuseSource(fields: Fields, source: JsonObject, path: string): { readonly kind: 'url'; readonly url: string } {
  const type = fields.text(source.type, join(path, 'type'));
  fields.problems.unsupported(join(path, 'type'), `Sources of type "${shown(type)}" cannot be sent to this engine`);
  return { kind: 'url', url: '' };
}

function readToolUse(fields: Fields, block: JsonObject, path: string): ToolCallPart {
  fields.known(block, path, TOOL_USE_FIELDS);
  const { caller } = block;
  if (caller !== undefined && caller !== null && !(isObject(caller) && caller.type === 'direct'))
    fields.problems.unsupported(join(path, 'caller'), 'Only tool calls made by the model itself can be sent to this engine');
  return present({
    kind: 'tool_call' as const,
    id: fields.text(block.id, join(path, 'id')),
    name: fields.text(block.name, join(path, 'name')),
    arguments: JSON.stringify(fields.object(block.input, join(path, 'input'))),
    cache: readCacheMark(fields, block.cache_control, join(path, 'cache_control')),
  });
}

function readToolResult(fields: Fields, block: JsonObject, path: string): ToolResultPart {
  fields.known(block, path, TOOL_RESULT_FIELDS);
  return present({
    kind: 'tool_result' as const,
    callId: fields.text(block.tool_use_id, join(path, 'tool_use_id')),
    parts: maybe(block.content, (content) => readResultContent(fields, content, join(path, 'content'))) ?? [],
    isError: maybe(block.is_error, (isError) => fields.boolean(isError, join(path, 'is_error'))),
    cache: readCacheMark(fields, block.cache_control, join(path, 'cache_control')),
  });
}

function readResultContent(fields: Fields, content: Json, path: string): readonly (TextPart | ImagePart)[] {
  if (typeof content === 'string') return [{ kind: 'text', text: content }];
  return fields.list(content, path).flatMap((value, index): readonly (TextPart | ImagePart)[] => {
    const at = join(path, index);
    const block = fields.object(value, at);
    if (block.type === 'text') return [readText(fields, block, at)];
    if (block.type === 'image') return [readImage(fields, block, at)];
    const type = fields.text(block.type, join(at, 'type'));
    fields.problems.unsupported(join(at, 'type'), `Tool results with "${shown(type)}" blocks cannot be sent to this engine`);
    return [];
  });
}

function readThinking(fields: Fields, block: JsonObject, path: string): Part {
  fields.known(block, path, THINKING_FIELDS);
  const signature = maybe(block.signature, (text) => fields.text(text, join(path, 'signature')));
  return present({
    kind: 'thinking' as const,
    text: fields.text(block.thinking, join(path, 'thinking')),
    // An answer of ours from an engine that signs nothing has the empty string here, since the field is required.
    signature: signature === '' ? undefined : signature,
  });
}

/** Citations point into documents by rules of the engine that made them; asked for or sent back, they cannot be translated. */
function refuseCitations(fields: Fields, citations: Json | undefined, path: string): void {
  const isAsked = isList(citations) ? citations.length > 0 : isObject(citations) && citations.enabled === true;
  if (isAsked) fields.problems.unsupported(join(path, 'citations'), 'Citations cannot be sent to this engine');
}
