import { hash } from 'node:crypto';
import type { CacheMark, Part, Prompt } from '#contracts/prompt';

/**
 * The simulated engine's own tokens: four bytes of UTF-8 each, never cutting a character, and every part of a prompt begins a new
 * token. Marks between turns and parts are tokens too. The rule is simple so that anyone can count along, and what an engine
 * wrote counts the same when it comes back as the next turn's prompt, so conversations are found in the cache.
 */
const TOKEN_BYTES = 4;
/** An image or a document that is not text counts as this many tokens, whatever its size. */
const MEDIA_TOKENS = 256;

/** A prompt as the engine sees it. */
export interface EncodedPrompt {
  /** Four bytes a token, so token `n` is at `4 * n`. */
  readonly bytes: Buffer;
  readonly tokens: number;
  /** Tokens up to and including the last part that is marked to be cached; 0 when none is. */
  readonly markedTokens: number;
}

// 0xff occurs nowhere in UTF-8, so no text can look like a mark.
const MARKS = {
  system: 1,
  tool: 2,
  user: 3,
  assistant: 4,
  tool_call: 5,
  tool_result: 6,
  media: 7,
  thinking: 8,
  refusal: 9,
} as const;

/** Encodes a prompt, ending with the mark after which the assistant speaks (unless the client already put words in its mouth). */
export function encodePrompt(prompt: Prompt): EncodedPrompt {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let markedTokens = 0;
  const add = (chunk: Buffer, cache?: CacheMark): void => {
    chunks.push(chunk);
    bytes += chunk.length;
    if (cache !== undefined) markedTokens = bytes / TOKEN_BYTES;
  };
  for (const tool of prompt.tools) {
    add(markOf('tool'));
    add(encodeText(JSON.stringify([tool.name, tool.description ?? null, tool.schema])), tool.cache);
  }
  if (prompt.system.length > 0) add(markOf('system'));
  for (const part of prompt.system) add(encodeText(part.text), part.cache);
  for (const turn of prompt.turns) {
    add(markOf(turn.role));
    for (const part of turn.parts) add(encodePart(part), 'cache' in part ? part.cache : undefined);
  }
  if (prompt.cache !== undefined) markedTokens = bytes / TOKEN_BYTES;
  if (prompt.turns.at(-1)?.role !== 'assistant') add(markOf('assistant'));
  return { bytes: Buffer.concat(chunks, bytes), tokens: bytes / TOKEN_BYTES, markedTokens };
}

function encodePart(part: Part): Buffer {
  switch (part.kind) {
    case 'text':
      return encodeText(part.text);
    case 'thinking':
    case 'refusal':
      return Buffer.concat([markOf(part.kind), encodeText(part.text)]);
    case 'redacted_thinking':
      return Buffer.concat([markOf('thinking'), encodeText(part.data)]);
    // Ids are left out: they are names for the client, not part of what a model is shown.
    case 'tool_call':
      return encodeToolCall(part.name, part.arguments);
    case 'tool_result':
      return Buffer.concat([markOf('tool_result'), ...part.parts.map(encodePart)]);
    case 'image':
      return encodeMedia(JSON.stringify(part.source));
    case 'document':
      return part.source.kind === 'text' ? encodeText(part.source.text) : encodeMedia(JSON.stringify(part.source));
  }
}

/** A tool call as the engine writes it and reads it back: a mark, the name, the arguments. */
export function encodeToolCall(name: string, json: string): Buffer {
  return Buffer.concat([markOf('tool_call'), encodeText(name), encodeText(json)]);
}

/** Thinking as the engine writes it and reads it back. */
export function encodeThinking(text: string): Buffer {
  return Buffer.concat([markOf('thinking'), encodeText(text)]);
}

/** The tokens of a text, each padded to four bytes. */
export function encodeText(text: string): Buffer {
  const utf8 = Buffer.from(text, 'utf8');
  if (utf8.length === text.length) {
    const padded = Buffer.alloc(Math.ceil(utf8.length / TOKEN_BYTES) * TOKEN_BYTES);
    utf8.copy(padded);
    return padded;
  }
  // Characters of two and three bytes that alternate fill half of each token: never more than twice the bytes.
  const padded = Buffer.alloc(utf8.length * 2 + TOKEN_BYTES);
  let at = 0;
  let room = TOKEN_BYTES;
  for (let from = 0; from < utf8.length;) {
    const size = characterBytes(utf8[from] ?? 0);
    if (size > room) {
      at += room;
      room = TOKEN_BYTES;
    }
    utf8.copy(padded, at, from, from + size);
    from += size;
    at += size;
    room -= size;
    if (room === 0) room = TOKEN_BYTES;
  }
  return padded.subarray(0, Math.ceil(at / TOKEN_BYTES) * TOKEN_BYTES);
}

/** A text cut into its tokens. */
export function cutText(text: string): readonly string[] {
  const pieces: string[] = [];
  if (Buffer.byteLength(text) === text.length) {
    for (let at = 0; at < text.length; at += TOKEN_BYTES) pieces.push(text.slice(at, at + TOKEN_BYTES));
    return pieces;
  }
  let piece = '';
  for (const character of text) {
    if (piece !== '' && Buffer.byteLength(piece + character) > TOKEN_BYTES) {
      pieces.push(piece);
      piece = '';
    }
    piece += character;
  }
  return piece === '' ? pieces : [...pieces, piece];
}

/**
 * Addresses of the full blocks of a sequence: each covers everything before it, and the isolation value stands before the first,
 * so that two tenants never share one.
 */
export function createBlockKeys(
  sequence: Buffer,
  rules: { readonly isolation: string; readonly blockTokens: number },
): (index: number) => string {
  const blockBytes = rules.blockTokens * TOKEN_BYTES;
  const keys = [hash('sha256', JSON.stringify(['isolation', rules.isolation]), 'base64')];
  return (index) => {
    for (let next = keys.length - 1; next <= index; next += 1) {
      const block = sequence.subarray(next * blockBytes, (next + 1) * blockBytes);
      keys.push(hash('sha256', Buffer.concat([Buffer.from(keys[next] ?? '', 'latin1'), block]), 'base64'));
    }
    return keys[index + 1] ?? '';
  };
}

function markOf(name: keyof typeof MARKS): Buffer {
  return Buffer.from([0xff, MARKS[name], 0, 0]);
}

/** The content decides every token, so that two images share no block past the one they begin in. */
function encodeMedia(source: string): Buffer {
  const digest = hash('sha256', source, 'buffer');
  return Buffer.concat([markOf('media'), Buffer.alloc((MEDIA_TOKENS - 1) * TOKEN_BYTES, digest)]);
}

function characterBytes(lead: number): number {
  if (lead < 0x80) return 1;
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
}
