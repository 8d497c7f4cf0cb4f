import type { Json, JsonObject, RedactedThinkingPart, ThinkingPart } from '#contracts/prompt';
import { join, maybe, type Fields } from '../fields.ts';
import { isList, isObject, present } from '../json.ts';

/**
 * Thinking is a `reasoning` item: its text is the summary, its signature the `encrypted_content`, both of which a client sends
 * back as they came. Redacted thinking is an item that has nothing but `encrypted_content`: no summary part, not even an empty one.
 */
export function reasoningItem(id: string, part: ThinkingPart | RedactedThinkingPart): JsonObject {
  if (part.kind === 'redacted_thinking') return { id, type: 'reasoning', summary: [], encrypted_content: part.data };
  const summary = [{ type: 'summary_text', text: part.text }];
  return present({ id, type: 'reasoning', summary, encrypted_content: part.signature });
}

const ITEM_FIELDS = new Set(['type', 'id', 'status', 'summary', 'content', 'encrypted_content']);

/** The reverse, from a request; several parts of one item are joined by an empty line. */
export function readReasoning(fields: Fields, item: JsonObject, path: string): ThinkingPart | RedactedThinkingPart {
  fields.known(item, path, ITEM_FIELDS);
  const sealed = maybe(item.encrypted_content, (text) => fields.text(text, join(path, 'encrypted_content')));
  const texts = (['summary', 'content'] as const).flatMap((key) => {
    const at = join(path, key);
    const parts = maybe(item[key], (value) => fields.list(value, at)) ?? [];
    return parts.map((part, index) => fields.text(fields.object(part, join(at, index)).text, join(join(at, index), 'text')));
  });
  if (texts.length === 0 && sealed !== undefined) return { kind: 'redacted_thinking', data: sealed };
  return present({ kind: 'thinking' as const, text: texts.join(REASONING_SEPARATOR), signature: sealed });
}

/** Stands between two parts of one reasoning item. */
export const REASONING_SEPARATOR = '\n\n';

/** The texts of an answer's reasoning item: its summary, then its content (which open models show in full). */
export function reasoningTexts(item: JsonObject): readonly string[] {
  return [...partTexts(item.summary), ...partTexts(item.content)];
}

function partTexts(parts: Json | undefined): readonly string[] {
  if (!isList(parts)) return [];
  return parts.flatMap((part) => (isObject(part) && typeof part.text === 'string' ? [part.text] : []));
}
