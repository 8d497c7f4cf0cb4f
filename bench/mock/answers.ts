import type { Script, WireDialect } from './script.ts';

/** The bytes of an answer, made once per model and dialect and written as they are, request after request. */
export type PreparedAnswer =
  | { readonly kind: 'whole'; readonly bytes: Buffer }
  | {
      readonly kind: 'paced';
      /** Head and everything before the first content event: one write. */
      readonly prologue: Buffer;
      readonly event: Buffer;
      readonly events: number;
      readonly epilogue: Buffer;
      readonly paceMs: number;
    }
  | { readonly kind: 'stall' };

export function prepareAnswer(script: Script, dialect: WireDialect, model: string): PreparedAnswer {
  if (script.kind === 'stall') return { kind: 'stall' };
  if (script.kind === 'json') return { kind: 'whole', bytes: jsonAnswer(dialect, model, script.bytes) };
  const frames = dialect === 'anthropic' ? anthropicStream(model, script.events) : openaiStream(model, script.events);
  const prologue = Buffer.concat([Buffer.from(STREAM_HEAD), chunk(frames.prologue)]);
  const event = chunk(frames.event);
  const epilogue = Buffer.concat([chunk(frames.epilogue), Buffer.from('0\r\n\r\n')]);
  if (script.paceMs > 0) return { kind: 'paced', prologue, event, events: script.events, epilogue, paceMs: script.paceMs };
  return { kind: 'whole', bytes: Buffer.concat([prologue, ...Array.from({ length: script.events }, () => event), epilogue]) };
}

const STREAM_HEAD =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nrequest-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n';

function chunk(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
}

function jsonAnswer(dialect: WireDialect, model: string, bytes: number): Buffer {
  const build = dialect === 'anthropic' ? anthropicMessage : openaiCompletion;
  const pad = Math.max(0, bytes - build(model, '').length);
  const body = build(model, 'word '.repeat(Math.ceil(pad / 5)).slice(0, pad));
  return Buffer.from(
    `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nrequest-id: req_bench\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

function anthropicMessage(model: string, text: string): string {
  return JSON.stringify({
    id: 'msg_bench',
    type: 'message',
    role: 'assistant',
    model,
    content: [{ type: 'text', text }],
    stop_reason: 'end_turn',
    stop_sequence: null,
    usage: { input_tokens: 500, cache_creation_input_tokens: 0, cache_read_input_tokens: 100, output_tokens: 200 },
  });
}

function openaiCompletion(model: string, text: string): string {
  return JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion',
    created: 1_700_000_000,
    model,
    choices: [{ index: 0, message: { role: 'assistant', content: text, refusal: null }, logprobs: null, finish_reason: 'stop' }],
    usage: { prompt_tokens: 600, completion_tokens: 200, total_tokens: 800, prompt_tokens_details: { cached_tokens: 100 } },
  });
}

interface StreamFrames {
  readonly prologue: string;
  readonly event: string;
  readonly epilogue: string;
}

function anthropicStream(model: string, events: number): StreamFrames {
  const frame = (data: { readonly type: string } & Record<string, unknown>): string =>
    `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
  const message = {
    id: 'msg_bench',
    type: 'message',
    role: 'assistant',
    model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { input_tokens: 500, cache_creation_input_tokens: 0, cache_read_input_tokens: 100, output_tokens: 1 },
  };
  return {
    prologue:
      frame({ type: 'message_start', message }) +
      frame({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }) +
      frame({ type: 'ping' }),
    event: frame({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: ' word' } }),
    epilogue:
      frame({ type: 'content_block_stop', index: 0 }) +
      frame({
        type: 'message_delta',
        delta: { stop_reason: 'end_turn', stop_sequence: null },
        usage: { input_tokens: 500, cache_creation_input_tokens: 0, cache_read_input_tokens: 100, output_tokens: events },
      }) +
      frame({ type: 'message_stop' }),
  };
}

function openaiStream(model: string, events: number): StreamFrames {
  const frame = (choices: readonly unknown[], usage: unknown): string =>
    `data: ${JSON.stringify({ id: 'chatcmpl-bench', object: 'chat.completion.chunk', created: 1_700_000_000, model, choices, usage })}\n\n`;
  const choice = (delta: object, finishReason: string | null): object => ({ index: 0, delta, finish_reason: finishReason });
  return {
    prologue: frame([choice({ role: 'assistant', content: '' }, null)], null),
    event: frame([choice({ content: ' word' }, null)], null),
    epilogue: `${frame([choice({}, 'stop')], null)}${frame([], {
      prompt_tokens: 600,
      completion_tokens: events,
      total_tokens: 600 + events,
      prompt_tokens_details: { cached_tokens: 100 },
    })}data: [DONE]\n\n`,
  };
}

/** What the load generator looks for in the bytes to count content events and to know a clean end. */
export const MARKERS = {
  anthropic: { event: '"text_delta"', end: '"message_stop"' },
  openai: { event: '"content":" word"', end: '[DONE]' },
} as const satisfies Record<WireDialect, { readonly event: string; readonly end: string }>;
