import type { TokenUsage } from '#contracts/answer';

/**
 * Reads the `usage` object of each dialect into our kinds of tokens. Fields that are absent or not whole numbers are left out,
 * never guessed. OpenAI counts cached tokens inside the prompt's, Anthropic beside them: ours are beside.
 */
type Fields = { readonly [key: string]: unknown };
const asFields = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {});
const count = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;

function usageOf({
  input,
  cacheRead,
  cacheWrite,
  output,
  thinking,
}: { readonly [kind in keyof TokenUsage]: number | undefined }): TokenUsage {
  const usage: { -readonly [kind in keyof TokenUsage]: number } = {};
  if (input !== undefined) usage.input = input;
  if (cacheRead !== undefined) usage.cacheRead = cacheRead;
  if (cacheWrite !== undefined) usage.cacheWrite = cacheWrite;
  if (output !== undefined) usage.output = output;
  if (thinking !== undefined) usage.thinking = thinking;
  return usage;
}

/** Anthropic Messages: whole answers, `message_start` and `message_delta`. */
export function readAnthropicUsage(value: unknown): TokenUsage {
  const usage = asFields(value);
  return usageOf({
    input: count(usage['input_tokens']),
    cacheRead: count(usage['cache_read_input_tokens']),
    cacheWrite: count(usage['cache_creation_input_tokens']),
    output: count(usage['output_tokens']),
    thinking: count(asFields(usage['output_tokens_details'])['thinking_tokens']),
  });
}

/** OpenAI Chat Completions: whole answers and the usage chunk. */
export function readChatUsage(value: unknown): TokenUsage {
  const usage = asFields(value);
  return openAi({
    total: count(usage['prompt_tokens']),
    cached: count(asFields(usage['prompt_tokens_details'])['cached_tokens']),
    output: count(usage['completion_tokens']),
    thinking: count(asFields(usage['completion_tokens_details'])['reasoning_tokens']),
  });
}

/** OpenAI Responses: whole answers and the final events. */
export function readResponsesUsage(value: unknown): TokenUsage {
  const usage = asFields(value);
  return openAi({
    total: count(usage['input_tokens']),
    cached: count(asFields(usage['input_tokens_details'])['cached_tokens']),
    output: count(usage['output_tokens']),
    thinking: count(asFields(usage['output_tokens_details'])['reasoning_tokens']),
  });
}

interface OpenAiCounts {
  readonly total: number | undefined;
  readonly cached: number | undefined;
  readonly output: number | undefined;
  readonly thinking: number | undefined;
}

function openAi({ total, cached, output, thinking }: OpenAiCounts): TokenUsage {
  // A server that reports more cached tokens than tokens is believed as far as the total goes.
  const cacheRead = total === undefined || cached === undefined ? cached : Math.min(cached, total);
  return usageOf({
    input: total === undefined ? undefined : total - (cacheRead ?? 0),
    cacheRead,
    cacheWrite: undefined,
    output,
    thinking,
  });
}
