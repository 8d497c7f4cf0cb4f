/** A step cannot be interrupted, and an abort may take 250 ms: half of that, so that one that is twice as slow still holds it. */
const TARGET_MS = 125;
const GROWTH = 1.25;

export interface StepBounds {
  /** Everyone must be able to move in every step: twice the number of sequences. */
  readonly leastTokens: number;
  /** What fits into one batch. */
  readonly mostTokens: number;
}

/**
 * How many tokens the next step may have, from how long the last one took. The same batch takes longer on a slower or busier
 * machine, and at the end of a long context than at its beginning, so a fixed size would be too large for one and wasteful for
 * the other.
 * @param last - its budget and the tokens it used; one that used less than half of its budget says nothing
 */
export function nextBudget(
  last: { readonly budgetTokens: number; readonly usedTokens: number; readonly tookMs: number },
  { leastTokens, mostTokens }: StepBounds,
): number {
  const { budgetTokens, usedTokens, tookMs } = last;
  if (usedTokens * 2 < budgetTokens) return budgetTokens;
  if (tookMs > TARGET_MS) return Math.max(leastTokens, Math.min(budgetTokens, Math.floor((usedTokens * TARGET_MS) / tookMs)));
  if (usedTokens < budgetTokens || tookMs * GROWTH > TARGET_MS) return budgetTokens;
  return Math.min(mostTokens, Math.ceil(budgetTokens * GROWTH));
}
