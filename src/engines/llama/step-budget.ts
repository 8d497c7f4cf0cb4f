/** A step cannot be interrupted, and an abort may take 250 ms. */
const TOO_LONG_MS = 160;
/** Twice this is only a little too long, and taken back after one step. */
const QUICK_MS = 90;

export interface StepBounds {
  /** Everyone must be able to move in every step: twice the number of sequences. */
  readonly leastTokens: number;
  /** What fits into one batch. */
  readonly mostTokens: number;
}

/**
 * How many tokens the next step may have, from how long the last one took. The same batch takes longer on a slower or busier
 * machine, and at the end of a long context than at its beginning, so a fixed size would be too large for one and wasteful for
 * the other. Sizes are halved and doubled, never changed by a little: llama.cpp's matrix kernels like powers of two (on one
 * thread 64 tokens were seen to take 94 ms, and 63 tokens 149 ms).
 * @param last - its budget and the tokens it used; one that used less than half of its budget says nothing
 */
export function nextBudget(
  last: { readonly budgetTokens: number; readonly usedTokens: number; readonly tookMs: number },
  { leastTokens, mostTokens }: StepBounds,
): number {
  const { budgetTokens, usedTokens, tookMs } = last;
  if (usedTokens * 2 < budgetTokens) return budgetTokens;
  if (tookMs > TOO_LONG_MS) return Math.max(leastTokens, Math.floor(budgetTokens / 2));
  if (usedTokens < budgetTokens || tookMs >= QUICK_MS) return budgetTokens;
  return Math.min(mostTokens, budgetTokens * 2);
}
