import { refusal, type Refusal } from '#contracts/errors';
import type { Json, JsonObject } from '#contracts/prompt';
import { join } from '../fields.ts';
import { isList, isObject } from '../json.ts';

/** The values of `anthropic-version` that we know, oldest first. */
const VERSIONS = ['2023-06-01', '2026-10-21'] as const;
/** The version that requests written by us are to be sent with: it is the one that still knows sampling parameters. */
export const WRITTEN_VERSION = '2023-06-01';

/**
 * Applies the rules of an API version to a request (also of count_tokens, also one of a batch).
 * @param version - the `anthropic-version` header; absent is a mistake, as at the API
 * @param body - the parsed body; other mistakes in it are not looked for
 * @returns the first rule broken, or null
 * Source: platform.claude.com/docs/en/api, versioning and migration-2026-10-21.
 */
export function checkVersion(version: string | undefined, body: Json): Refusal | null {
  if (version === undefined || version === '')
    return refusal('invalid_request', 'anthropic-version: header is required', { param: 'anthropic-version' });
  if (version === '2023-06-01') return null;
  if (version !== '2026-10-21')
    return refusal('invalid_request', `anthropic-version: not a version that is known here; use ${VERSIONS.join(' or ')}`, {
      param: 'anthropic-version',
    });
  if (!isObject(body)) return null;
  return checkSampling(body) ?? checkMessages(body.messages);
}

function checkSampling(body: JsonObject): Refusal | null {
  const extra = ['temperature', 'top_p', 'top_k'].find((field) => Object.hasOwn(body, field));
  return extra === undefined ? null : mistake(extra, 'Extra inputs are not permitted');
}

function checkMessages(messages: Json | undefined): Refusal | null {
  if (!isList(messages)) return null;
  for (const [index, message] of messages.entries()) {
    if (!isObject(message) || !isList(message.content)) continue;
    const path = `messages.${index}.content`;
    const problem =
      message.role === 'assistant'
        ? checkAssistant(message.content, path)
        : message.role === 'user'
          ? checkUser(message.content, path)
          : null;
    if (problem !== null) return problem;
  }
  return null;
}

function checkAssistant(content: readonly Json[], path: string): Refusal | null {
  const index = content.findIndex((block) => isObject(block) && block.type === 'document');
  return index === -1 ? null : mistake(join(path, index), 'Document blocks are not permitted in assistant messages');
}

/** Text blocks of a user, also those inside a search result, and both inside a tool result. */
function checkUser(content: readonly Json[], path: string): Refusal | null {
  for (const [index, block] of content.entries()) {
    if (!isObject(block)) continue;
    const at = join(path, index);
    if (block.type === 'text' && isList(block.citations) && block.citations.length > 0)
      return mistake(join(at, 'citations'), 'Citations are not permitted on text blocks in user messages');
    const isHolder = block.type === 'search_result' || block.type === 'tool_result';
    const problem = isHolder && isList(block.content) ? checkUser(block.content, join(at, 'content')) : null;
    if (problem !== null) return problem;
  }
  return null;
}

function mistake(path: string, message: string): Refusal {
  return refusal('invalid_request', `${path}: ${message}`, { param: path });
}
