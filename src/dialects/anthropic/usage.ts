import type { TokenUsage } from '#contracts/answer';
import type { Json, JsonObject } from '#contracts/prompt';
import { isObject, present, tokensOf } from '../json.ts';

/** Anthropic's `usage` object in our words; what is null or absent there was not said. */
export function readUsage(value: Json | undefined): TokenUsage {
  if (!isObject(value)) return {};
  const details = isObject(value.output_tokens_details) ? value.output_tokens_details : {};
  return present({
    input: tokensOf(value.input_tokens),
    cacheRead: tokensOf(value.cache_read_input_tokens),
    cacheWrite: tokensOf(value.cache_creation_input_tokens),
    output: tokensOf(value.output_tokens),
    thinking: tokensOf(details.thinking_tokens),
  });
}

/** Our usage as Anthropic writes it. Clients require the four counts, so what was not said is 0. */
export function writeUsage(usage: TokenUsage): JsonObject {
  return present({
    input_tokens: usage.input ?? 0,
    cache_creation_input_tokens: usage.cacheWrite ?? 0,
    cache_read_input_tokens: usage.cacheRead ?? 0,
    output_tokens: usage.output ?? 0,
    output_tokens_details: usage.thinking === undefined ? undefined : { thinking_tokens: usage.thinking },
  });
}
