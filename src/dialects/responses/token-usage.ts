import type { TokenUsage } from '#contracts/answer';
import type { Json, JsonObject } from '#contracts/prompt';
import { isObject, present } from '../json.ts';

/**
 * Usage as this API says it: input counts what was read from and written to a cache. Every count is required there, so one that
 * the engine did not say is written as 0; when it said nothing at all, there is no usage.
 */
export function writeUsage(usage: TokenUsage): JsonObject | null {
  if (Object.keys(usage).length === 0) return null;
  const cached = usage.cacheRead ?? 0;
  const written = usage.cacheWrite ?? 0;
  const input = (usage.input ?? 0) + cached + written;
  const output = usage.output ?? 0;
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: cached, cache_write_tokens: written },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: usage.thinking ?? 0 },
    total_tokens: input + output,
  };
}

/** The reverse. Counts that are absent or not whole numbers are left out; parts of the input never exceed it. */
export function readUsage(value: Json | undefined): TokenUsage {
  const usage = isObject(value) ? value : {};
  const inputDetails = isObject(usage.input_tokens_details) ? usage.input_tokens_details : {};
  const outputDetails = isObject(usage.output_tokens_details) ? usage.output_tokens_details : {};
  const total = count(usage.input_tokens);
  const cacheRead = atMost(count(inputDetails.cached_tokens), total);
  const cacheWrite = atMost(count(inputDetails.cache_write_tokens), total === undefined ? undefined : total - (cacheRead ?? 0));
  return present({
    input: total === undefined ? undefined : total - (cacheRead ?? 0) - (cacheWrite ?? 0),
    cacheRead,
    cacheWrite,
    output: count(usage.output_tokens),
    thinking: count(outputDetails.reasoning_tokens),
  });
}

function count(value: Json | undefined): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

function atMost(tokens: number | undefined, limit: number | undefined): number | undefined {
  return tokens === undefined || limit === undefined ? tokens : Math.min(tokens, limit);
}
