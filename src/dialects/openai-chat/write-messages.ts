import type { DocumentPart, ImagePart, Json, JsonObject, Part, Prompt, TextPart, ToolResultPart, Turn } from '#contracts/prompt';
import { join } from '../fields.ts';
import { present } from '../json.ts';
import type { Problems } from '../problems.ts';

/** Before the content of a tool result that is an error: the dialect has no field for it, and the model must know. */
const ERROR_MARK = 'Error:';

/** Writes the system text and the turns as `messages`. */
export function writeMessages(prompt: Prompt, problems: Problems): readonly JsonObject[] {
  const system = prompt.system.length === 0 ? [] : [{ role: 'system', content: writeTexts(prompt.system) }];
  return [...system, ...prompt.turns.flatMap((turn, index) => writeTurn(turn, join('messages', index), problems))];
}

function writeTurn(turn: Turn, path: string, problems: Problems): readonly JsonObject[] {
  if (turn.role === 'assistant') return [writeAssistant(turn.parts, path, problems)];
  if (turn.role === 'user') return writeUser(turn.parts, path, problems);
  return [{ role: 'system', content: writeTexts(turn.parts.filter((part) => part.kind === 'text')) }];
}

/** Several texts stay several; one is a string, which every server of this dialect takes. */
function writeTexts(parts: readonly TextPart[]): Json {
  const [first] = parts;
  return parts.length === 1 && first !== undefined ? first.text : parts.map(writeText);
}

function writeText(part: TextPart): JsonObject {
  return { type: 'text', text: part.text };
}

/** Results of tools are messages of their own, and must directly follow the calls that they answer. */
function writeUser(parts: readonly Part[], path: string, problems: Problems): readonly JsonObject[] {
  const results = parts.filter((part) => part.kind === 'tool_result');
  const rest = parts.filter((part) => part.kind !== 'tool_result');
  if (parts.findLastIndex((part) => part.kind === 'tool_result') >= results.length)
    problems.unsupported(join(path, 'content'), 'For this engine tool results must come before other content');
  return [
    ...results.map((part, index) => writeToolResult(part, join(join(path, 'content'), index), problems)),
    ...(rest.length === 0 && results.length > 0
      ? []
      : [{ role: 'user', content: writeUserContent(rest, join(path, 'content'), problems) }]),
  ];
}

function writeToolResult(part: ToolResultPart, path: string, problems: Problems): JsonObject {
  const texts = part.parts.filter((inner) => inner.kind === 'text');
  if (texts.length < part.parts.length) problems.unsupported(path, 'Tool results with images cannot be sent to this engine');
  if (part.isError === true)
    return { role: 'tool', tool_call_id: part.callId, content: [ERROR_MARK, ...texts.map(({ text }) => text)].join('\n') };
  return { role: 'tool', tool_call_id: part.callId, content: texts.length === 0 ? '' : writeTexts(texts) };
}

function writeUserContent(parts: readonly Part[], path: string, problems: Problems): Json {
  const [first] = parts;
  if (parts.length === 1 && first?.kind === 'text') return first.text;
  return parts.flatMap((part, index): readonly JsonObject[] => {
    if (part.kind === 'text') return [writeText(part)];
    if (part.kind === 'image') return [writeImage(part)];
    if (part.kind === 'document') return writeDocument(part, join(path, index), problems);
    problems.unsupported(join(path, index), `A ${part.kind} part is not allowed in a user message`);
    return [];
  });
}

function writeImage({ source, detail }: ImagePart): JsonObject {
  const url = source.kind === 'url' ? source.url : `data:${source.mediaType};base64,${source.data}`;
  return { type: 'image_url', image_url: present({ url, detail }) };
}

/** A text is carried as text, under its title and context; data as a file, where the server takes one. */
function writeDocument({ source, title, context }: DocumentPart, path: string, problems: Problems): readonly JsonObject[] {
  const notes = [title, context].filter((note) => note !== undefined);
  switch (source.kind) {
    case 'text':
      return [{ type: 'text', text: [...notes, source.text].join('\n\n') }];
    case 'base64':
      return [
        ...(context === undefined ? [] : [{ type: 'text', text: context }]),
        {
          type: 'file',
          file: { filename: title ?? 'document.pdf', file_data: `data:${source.mediaType};base64,${source.data}` },
        },
      ];
    default:
      problems.unsupported(join(path, 'source'), 'This engine takes documents as data, not as a URL');
      return [];
  }
}

function writeAssistant(parts: readonly Part[], path: string, problems: Problems): JsonObject {
  const order = parts.map((part) => ORDER.indexOf(part.kind));
  if (order.some((place, index) => place < (order[index - 1] ?? 0)))
    problems.unsupported(
      join(path, 'content'),
      'For this engine an assistant message holds thinking, then text, then tool calls',
    );
  for (const [index, part] of parts.entries()) refuseSigned(part, join(join(path, 'content'), index), problems);
  const calls = parts.filter((part) => part.kind === 'tool_call');
  const texts = parts.filter((part) => part.kind === 'text');
  const thoughts = parts.filter((part) => part.kind === 'thinking');
  const refusals = parts.filter((part) => part.kind === 'refusal');
  return present({
    role: 'assistant',
    content: texts.length === 0 ? null : writeTexts(texts),
    refusal: refusals.length === 0 ? undefined : refusals.map((part) => part.text).join(''),
    reasoning_content: thoughts.length === 0 ? undefined : thoughts.map((part) => part.text).join('\n\n'),
    tool_calls:
      calls.length === 0
        ? undefined
        : calls.map((call) => ({
            id: call.id,
            type: 'function',
            // Nothing at all is not JSON, and clients of this dialect parse it.
            function: { name: call.name, arguments: call.arguments.trim() === '' ? '{}' : call.arguments },
          })),
  });
}

const ORDER: readonly Part['kind'][] = [
  'thinking',
  'redacted_thinking',
  'text',
  'refusal',
  'tool_call',
  'image',
  'document',
  'tool_result',
];

/** Signed thinking belongs to the engine that signed it, and what only that engine can read means nothing to another. */
function refuseSigned(part: Part, path: string, problems: Problems): void {
  const isSigned = part.kind === 'redacted_thinking' || (part.kind === 'thinking' && part.signature !== undefined);
  if (isSigned)
    problems.unsupported(path, 'Signed thinking can only go back to the engine that signed it; leave it out of the history');
  else if (part.kind === 'image' || part.kind === 'document' || part.kind === 'tool_result')
    problems.unsupported(path, `A ${part.kind} part is not allowed in an assistant message`);
}
