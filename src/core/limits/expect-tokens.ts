/**
 * What a gateway learns about lengths, to reserve tokens before they are counted: how many output tokens nine in ten requests of a
 * key and model stay under, and how many bytes of a body a model reads as one token. Fixed memory, whatever the number of keys.
 */
export interface TokenExpectations {
  /** Whole tokens under which the given share of this key's answers by this model stay, at least 1. */
  outputQuantile(keyAndModel: number): number;
  learnOutput(keyAndModel: number, tokens: number): void;
  /** Whole input tokens of a body. */
  input(model: number, bodyBytes: number): number;
  learnInput(model: number, bodyBytes: number, tokens: number): void;
}

/** Slots: keys and models that fall into one share what is learned, which costs accuracy and never correctness. */
const SLOTS = 65_536;
/** Where nothing is known yet. */
const OUTPUT_AT_FIRST = 512;
const BYTES_PER_TOKEN_AT_FIRST = 4;
/** Tokens by which one answer moves a quantile. On the Azure traces of 2023 it keeps 10 % above. */
const STEP_TOKENS = 20;
const RATIO_WEIGHT = 0.05;

/**
 * @param quantile - share of answers that a reservation shall cover, 0 to 1
 * Source: stochastic approximation of a quantile, Robbins and Monro (1951), with a constant step.
 */
export function createTokenExpectations({ quantile = 0.9 }: { readonly quantile?: number } = {}): TokenExpectations {
  const outputs = new Float32Array(SLOTS).fill(OUTPUT_AT_FIRST);
  const bytesPerToken = new Float32Array(SLOTS).fill(BYTES_PER_TOKEN_AT_FIRST);
  const slot = (hash: number): number => hash & (SLOTS - 1);
  return {
    outputQuantile: (keyAndModel) => Math.ceil(outputs[slot(keyAndModel)] as number),
    learnOutput(keyAndModel, tokens) {
      const at = slot(keyAndModel);
      const now = outputs[at] as number;
      outputs[at] = Math.max(1, now + STEP_TOKENS * (quantile - (tokens <= now ? 1 : 0)));
    },
    input: (model, bodyBytes) => Math.ceil(bodyBytes / (bytesPerToken[slot(model)] as number)),
    learnInput(model, bodyBytes, tokens) {
      if (tokens < 1 || bodyBytes < 1) return;
      const at = slot(model);
      // Pictures weigh thousands of bytes a token; one must not make the next text look like nothing.
      const seen = Math.min(16, Math.max(1, bodyBytes / tokens));
      bytesPerToken[at] = (bytesPerToken[at] as number) + RATIO_WEIGHT * (seen - (bytesPerToken[at] as number));
    },
  };
}
