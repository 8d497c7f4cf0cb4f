import type { Prompt } from '#contracts/prompt';

/** How the next token is drawn. */
export interface Sampler {
  /** 0 takes the likeliest token, always. */
  readonly temperature: number;
  /** 0 to 1; 1 keeps every token. */
  readonly topP: number;
  /** 0 keeps every token. */
  readonly topK: number;
  /** Unsigned 32-bit. The same prompt, options and seed give the same draws. */
  readonly seed: number;
  /** Taken from the logit of a token that the answer already has. */
  readonly presencePenalty: number;
  /** Taken from it once more for each time the answer has it. */
  readonly frequencyPenalty: number;
}

/** What a request that says nothing gets: part of what a model is served as. */
export interface SamplerDefaults {
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
}

/** What SmolLM2's authors recommend for it (temperature 0.2, top-p 0.9), and llama.cpp's own top-k. */
export const SAMPLER_DEFAULTS: SamplerDefaults = { temperature: 0.2, topP: 0.9, topK: 40 };

/** @param drawnSeed - integer, used when the client gave none */
export function samplerFor(prompt: Prompt, defaults: SamplerDefaults, drawnSeed: number): Sampler {
  return {
    temperature: prompt.temperature ?? defaults.temperature,
    topP: prompt.topP ?? defaults.topP,
    topK: Math.max(0, Math.trunc(prompt.topK ?? defaults.topK)),
    seed: unsigned32(prompt.seed ?? drawnSeed),
    presencePenalty: prompt.presencePenalty ?? 0,
    frequencyPenalty: prompt.frequencyPenalty ?? 0,
  };
}

/** Seeds are any integer in the API and 32 bits in llama.cpp. */
function unsigned32(seed: number): number {
  const range = 2 ** 32;
  return ((Math.trunc(seed) % range) + range) % range;
}
