import type { AnswerError, TokenUsage } from '#contracts/answer';
import type { Json } from '#contracts/prompt';
import type { Dialect } from '#contracts/record';
import { scanJson, wantedFields } from '../scan/json-scanner.ts';
import { readUsage as readAnthropicUsage } from '../anthropic/usage.ts';
import { readUsage as readChatUsage } from '../openai-chat/usage.ts';
import { readUsage as readResponsesUsage } from '../responses/token-usage.ts';
import type { AnswerProgress } from './progress.ts';

/**
 * What is to be done with the bytes of one event: pass them on, leave them out, or replace the JSON string that stands at
 * `start` to `end` of its data by the model's public name.
 */
export type EventAction =
  | { readonly kind: 'pass' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'rename'; readonly start: number; readonly end: number };

/** Reads one event of a stream beside its way to the client: updates `progress`, and says what becomes of the bytes. */
export type SideReader = (event: StreamEvent, progress: AnswerProgress) => EventAction;

export interface StreamEvent {
  readonly name: string;
  readonly data: Uint8Array;
}

export interface SideReaderOptions {
  /** Look for the model's name, so that it can be replaced. */
  readonly findModel: boolean;
  /** The client did not ask for the usage chunk that we asked for. */
  readonly dropUsage: boolean;
}

declare class TextDecoder {
  decode(bytes: Uint8Array): string;
}
const decoder = new TextDecoder();
const PASS: EventAction = { kind: 'pass' };
const DROP: EventAction = { kind: 'drop' };

/** The side reader of a dialect. */
export function createSideReader(dialect: Dialect, options: SideReaderOptions): SideReader {
  switch (dialect) {
    case 'anthropic':
      return (event, progress) => readAnthropic(event, progress, options);
    case 'openai_chat':
      return (event, progress) => readChat(event, progress, options);
    case 'openai_responses':
      return (event, progress) => readResponses(event, progress, options);
  }
}

/** `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""}}`: what a delta weighs without its text. */
const ANTHROPIC_DELTA_BYTES = 79;

function readAnthropic({ name, data }: StreamEvent, progress: AnswerProgress, options: SideReaderOptions): EventAction {
  switch (name) {
    case 'content_block_delta':
      progress.hasContent = true;
      countContent(progress, data.length - ANTHROPIC_DELTA_BYTES);
      return PASS;
    case 'message_start': {
      const message = fieldsOf(parse(data)['message']);
      mergeUsage(progress, readAnthropicUsage(message['usage']));
      return options.findModel ? renameAt(data, ['message', 'model']) : PASS;
    }
    case 'message_delta': {
      progress.hasContent = true;
      const event = parse(data);
      const usage = readAnthropicUsage(event['usage']);
      mergeUsage(progress, usage);
      if (usage.output !== undefined) progress.hasFinalUsage = true;
      progress.stopReason = asString(fieldsOf(event['delta'])['stop_reason']) ?? progress.stopReason;
      return PASS;
    }
    case 'message_stop':
      progress.hasContent = true;
      progress.isComplete = true;
      return PASS;
    case 'error': {
      const error = fieldsOf(parse(data)['error']);
      progress.error = errorOf(error['type'], error['message']);
      return PASS;
    }
    case 'ping':
    case 'content_block_start': // an engine may open a block long before it has anything to put in it
    case 'content_block_stop':
    case '': // a comment, or an event that Anthropic's clients ignore
      return PASS;
    default:
      progress.hasContent = true; // an event that we do not know may be content
      return PASS;
  }
}

/** `{"id":"chatcmpl-…","object":"chat.completion.chunk","created":…,"model":"…","choices":[…]}` is parsed: fields have no names to go by. */
function readChat({ data }: StreamEvent, progress: AnswerProgress, options: SideReaderOptions): EventAction {
  if (isDone(data)) {
    progress.hasContent = true;
    progress.isComplete = true;
    return PASS;
  }
  if (data.length === 0) return PASS;
  const chunk = parse(data);
  if (chunk['error'] !== undefined && chunk['error'] !== null) {
    const error = fieldsOf(chunk['error']);
    progress.error = errorOf(error['code'] ?? error['type'], error['message']);
    return PASS;
  }
  const choices = Array.isArray(chunk['choices']) ? chunk['choices'] : [];
  for (const choice of choices) readChoice(fieldsOf(choice), progress);
  if (chunk['usage'] !== undefined && chunk['usage'] !== null) {
    mergeUsage(progress, readChatUsage(chunk['usage']));
    progress.hasFinalUsage = true;
    // Only the chunk that carries usage and nothing else is ours to remove.
    if (options.dropUsage && choices.length === 0) return DROP;
  }
  return options.findModel ? renameAt(data, ['model']) : PASS;
}

function readChoice(choice: Fields, progress: AnswerProgress): void {
  const delta = fieldsOf(choice['delta']);
  const text =
    asString(delta['content']) ??
    asString(delta['reasoning_content']) ??
    asString(delta['reasoning']) ??
    asString(delta['refusal']);
  const calls = delta['tool_calls'];
  if (text) {
    progress.hasContent = true;
    countContent(progress, text.length);
  } else if (Array.isArray(calls) && calls.length > 0) {
    progress.hasContent = true;
    for (const call of calls) countContent(progress, asString(fieldsOf(fieldsOf(call)['function'])['arguments'])?.length ?? 1);
  }
  const reason = asString(choice['finish_reason']);
  if (reason !== undefined) {
    progress.hasContent = true;
    progress.stopReason = reason;
  }
}

function readResponses({ name, data }: StreamEvent, progress: AnswerProgress, options: SideReaderOptions): EventAction {
  switch (name) {
    case 'response.created':
    case 'response.in_progress':
    case 'response.queued':
      return options.findModel ? renameAt(data, ['response', 'model']) : PASS;
    case 'response.completed':
    case 'response.incomplete': {
      const response = fieldsOf(parse(data)['response']);
      progress.hasContent = true;
      progress.isComplete = true;
      progress.stopReason = asString(fieldsOf(response['incomplete_details'])['reason']) ?? asString(response['status']) ?? null;
      mergeUsage(progress, readResponsesUsage(response['usage']));
      progress.hasFinalUsage = progress.usage.output !== undefined;
      return options.findModel ? renameAt(data, ['response', 'model']) : PASS;
    }
    case 'response.failed': {
      const error = fieldsOf(fieldsOf(parse(data)['response'])['error']);
      progress.error = errorOf(error['code'], error['message']);
      return options.findModel ? renameAt(data, ['response', 'model']) : PASS;
    }
    case 'error': {
      const event = parse(data);
      const error = event['error'] === undefined ? event : fieldsOf(event['error']);
      progress.error = errorOf(error['code'] ?? error['type'], error['message']);
      return PASS;
    }
    case 'response.output_item.added':
    case 'response.content_part.added':
    case '':
      return PASS;
    default:
      progress.hasContent = true;
      if (name.endsWith('.delta')) countContent(progress, asString(parse(data)['delta'])?.length ?? 1);
      return PASS;
  }
}

function countContent(progress: AnswerProgress, bytes: number): void {
  progress.contentEvents++;
  progress.contentBytes += Math.max(bytes, 1);
}

function mergeUsage(progress: AnswerProgress, usage: TokenUsage): void {
  progress.usage = { ...progress.usage, ...usage };
}

const MODEL_PATH = { model: wantedFields('model'), message: wantedFields('message'), response: wantedFields('response') };

/** Where the model's name stands, one or two levels down. */
function renameAt(data: Uint8Array, path: readonly (keyof typeof MODEL_PATH)[]): EventAction {
  let from = 0;
  let bytes = data;
  for (const key of path) {
    const outcome = scanJson(bytes, { depthMax: 256, valuesMax: 1_000_000, wanted: MODEL_PATH[key] });
    const span = outcome.kind === 'fields' ? outcome.fields.get(key) : undefined;
    if (!span) return PASS;
    bytes = bytes.subarray(span.start, span.end);
    from += span.start;
  }
  return { kind: 'rename', start: from, end: from + bytes.length };
}

type Fields = { readonly [key: string]: Json | undefined };

/** An event's data as an object; what is not JSON is read as one without fields: it passes on, and says nothing. */
function parse(data: Uint8Array): Fields {
  try {
    return fieldsOf(JSON.parse(decoder.decode(data)) as Json);
  } catch {
    return {};
  }
}

const fieldsOf = (value: Json | undefined): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {});
const asString = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

function isDone(data: Uint8Array): boolean {
  return data.length === 6 && decoder.decode(data) === '[DONE]';
}

/** The statuses that the engines' own words stand for; what they mean to us is decided by status, as it is for whole answers. */
const STATUS_BY_TYPE: Readonly<Record<string, number>> = {
  overloaded_error: 529,
  rate_limit_error: 429,
  rate_limit_exceeded: 429,
  invalid_request_error: 400,
  authentication_error: 401,
  permission_error: 403,
  not_found_error: 404,
  request_too_large: 413,
  timeout_error: 504,
};

function errorOf(type: unknown, message: unknown): AnswerError {
  const word = asString(type) ?? 'api_error';
  const status = typeof type === 'number' && type >= 400 && type <= 599 ? type : (STATUS_BY_TYPE[word] ?? 500);
  return { status, type: word, message: asString(message) ?? '' };
}
