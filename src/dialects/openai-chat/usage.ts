import type { TokenUsage } from '#contracts/answer';
import type { Json, JsonObject } from '#contracts/prompt';
import { isObject, present, tokensOf } from '../json.ts';

/**
 * OpenAI's `usage` object in our words. Its prompt tokens include those read from and written to the cache, ours do not; its
 * completion tokens include reasoning, as ours do. DeepSeek names cache hits at the top.
 */
export function readUsage(value: Json | undefined): TokenUsage {
  if (!isObject(value)) return {};
  const prompt = isObject(value.prompt_tokens_details) ? value.prompt_tokens_details : {};
  const completion = isObject(value.completion_tokens_details) ? value.completion_tokens_details : {};
  const total = tokensOf(value.prompt_tokens);
  const cacheRead = tokensOf(prompt.cached_tokens) ?? tokensOf(value.prompt_cache_hit_tokens);
  const cacheWrite = tokensOf(prompt.cache_write_tokens);
  return present({
    input: total === undefined ? undefined : Math.max(0, total - (cacheRead ?? 0) - (cacheWrite ?? 0)),
    cacheRead,
    cacheWrite,
    output: tokensOf(value.completion_tokens),
    thinking: tokensOf(completion.reasoning_tokens),
  });
}

/** Our usage as OpenAI writes it; details only of what was said. */
export function writeUsage(usage: TokenUsage): JsonObject {
  const { input = 0, cacheRead, cacheWrite, output = 0, thinking } = usage;
  const total = input + (cacheRead ?? 0) + (cacheWrite ?? 0);
  const hasDetails = cacheRead !== undefined || cacheWrite !== undefined;
  return present({
    prompt_tokens: total,
    completion_tokens: output,
    total_tokens: total + output,
    prompt_tokens_details: hasDetails ? present({ cached_tokens: cacheRead, cache_write_tokens: cacheWrite }) : undefined,
    completion_tokens_details: thinking === undefined ? undefined : { reasoning_tokens: thinking },
  });
}
