import { type Refusal, refusal } from '#contracts/errors';
import type { Json, Prompt } from '#contracts/prompt';
import type { Operation } from '#contracts/record';
import { err, type Result } from '#core/kernel';
import { anthropicCodec, type Codec, openaiChatCodec, parseJson, readCountTokensRequest } from '#dialects';
import type { Engine } from './engine.ts';

/** How an embedded engine speaks one dialect. */
export interface EmbeddedDialect {
  readonly codec: Codec;
  readonly operations: ReadonlySet<Operation>;
  /** What answers' ids begin with. */
  readonly idPrefix: string;
  /** The header that carries the id of a request. */
  readonly requestIdHeader: string;
  read(operation: Operation, body: Json): Result<Prompt, Refusal>;
}

export const EMBEDDED_DIALECTS: Readonly<Record<Engine['dialect'], EmbeddedDialect>> = {
  anthropic: {
    codec: anthropicCodec,
    operations: new Set<Operation>(['messages', 'count_tokens']),
    idPrefix: 'msg_',
    requestIdHeader: 'request-id',
    read: (operation, body) => (operation === 'count_tokens' ? readCountTokensRequest(body) : anthropicCodec.readRequest(body)),
  },
  openai: {
    codec: openaiChatCodec,
    operations: new Set<Operation>(['chat_completions']),
    idPrefix: 'chatcmpl-',
    requestIdHeader: 'x-request-id',
    read: (_, body) => openaiChatCodec.readRequest(body),
  },
};

/** The prompt in the bytes of a request, or why there is none. Never throws, whatever the bytes. */
export function readPrompt(dialect: EmbeddedDialect, operation: Operation, body: Buffer): Result<Prompt, Refusal> {
  if (!dialect.operations.has(operation)) return err(refusal('not_found', `This engine does not offer ${operation}.`));
  const json = parseJson(decode(body) ?? '');
  if (json === undefined) return err(refusal('invalid_request', 'The body is not JSON in UTF-8, or it is nested too deeply.'));
  return dialect.read(operation, json);
}

function decode(body: Buffer): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    return null;
  }
}
