import type { ReplicaCall } from './scripted-replica.ts';

/** What replicas of either dialect say, and requests for them. */
export type ReplicaDialect = 'anthropic' | 'openai';

export const CLIENT_PATHS: Readonly<Record<ReplicaDialect, string>> = {
  anthropic: '/v1/messages',
  openai: '/v1/chat/completions',
};

/** A request that either dialect takes. */
export const requestOf = (model: string, text: string, more: object = {}): object => ({
  model,
  max_tokens: 64,
  messages: [{ role: 'user', content: text }],
  ...more,
});

const event = (name: string, data: object): string => `event: ${name}\ndata: ${JSON.stringify({ type: name, ...data })}\n\n`;

/** Events of a streamed answer: what comes before content, content, and the end; each a list of frames. */
export interface StreamFrames {
  readonly before: readonly string[];
  readonly content: readonly string[];
  readonly after: readonly string[];
}

export function framesOf(dialect: ReplicaDialect, words: readonly string[], id = 'one'): StreamFrames {
  return dialect === 'anthropic' ? messagesFrames(words, id) : chatFrames(words, id);
}

function messagesFrames(words: readonly string[], id: string): StreamFrames {
  const message = {
    id: `msg_${id}`,
    type: 'message',
    role: 'assistant',
    model: 'm',
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { input_tokens: 11, output_tokens: 1 },
  };
  return {
    before: [
      event('message_start', { message }),
      event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
      event('ping', {}),
    ],
    content: words.map((text) => event('content_block_delta', { index: 0, delta: { type: 'text_delta', text } })),
    after: [
      event('content_block_stop', { index: 0 }),
      event('message_delta', { delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: words.length } }),
      event('message_stop', {}),
    ],
  };
}

function chatFrames(words: readonly string[], id: string): StreamFrames {
  const chunk = (more: object): string =>
    `data: ${JSON.stringify({ id: `chatcmpl-${id}`, object: 'chat.completion.chunk', created: 1, model: 'm', ...more })}\n\n`;
  const choice = (delta: object, finish: string | null = null): string =>
    chunk({ choices: [{ index: 0, delta, finish_reason: finish }] });
  const usage = { prompt_tokens: 11, completion_tokens: words.length, total_tokens: 11 + words.length };
  return {
    before: [choice({ role: 'assistant', content: '' })],
    content: words.map((content) => choice({ content })),
    after: [choice({}, 'stop'), chunk({ choices: [], usage }), 'data: [DONE]\n\n'],
  };
}

/** A whole answer in its dialect, with 11 tokens in and 7 out. */
export function wholeOf(dialect: ReplicaDialect, text: string, id = 'one'): object {
  if (dialect === 'anthropic')
    return {
      id: `msg_${id}`,
      type: 'message',
      role: 'assistant',
      model: 'm',
      content: [{ type: 'text', text }],
      stop_reason: 'end_turn',
      stop_sequence: null,
      usage: { input_tokens: 11, output_tokens: 7 },
    };
  return {
    id: `chatcmpl-${id}`,
    object: 'chat.completion',
    created: 1,
    model: 'm',
    choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 },
  };
}

/** The head of a streamed response: its body in chunks, or ended by the end of the connection. */
export const streamHead = (framing: 'chunked' | 'to_the_end' = 'chunked', more = ''): string =>
  `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n${more}${
    framing === 'chunked' ? 'transfer-encoding: chunked' : 'connection: close'
  }\r\n\r\n`;

export const chunked = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
export const LAST_CHUNK = '0\r\n\r\n';

/** Sends a whole JSON response. */
export function sendJson(call: ReplicaCall, status: number, body: object, headers: Readonly<Record<string, string>> = {}): void {
  const text = JSON.stringify(body);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  call.write(
    `HTTP/1.1 ${status} Status\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n${lines.join('')}\r\n${text}`,
  );
  call.done();
}

/** Sends a whole stream. */
function sendStream(call: ReplicaCall, { before, content, after }: StreamFrames): void {
  call.write(streamHead() + [...before, ...content, ...after].map(chunked).join('') + LAST_CHUNK);
  call.done();
}

/** Answers whatever was asked, streamed or not. */
export function answer(call: ReplicaCall, words: readonly string[], id = 'one'): void {
  const dialect = call.path.includes('/messages') ? 'anthropic' : 'openai';
  if (/"stream": ?true/.test(call.body)) sendStream(call, framesOf(dialect, words, id));
  else sendJson(call, 200, wholeOf(dialect, words.join(''), id));
}

/** An error in Anthropic's envelope. */
export const errorBody = (type: string, message = 'as the script says'): object => ({ type: 'error', error: { type, message } });
