/** What one generation could do in the next step: read more of its prompt (`left` tokens, 1 or more), or write a token. */
export type Wish = { readonly kind: 'prefill'; readonly left: number } | { readonly kind: 'decode' };

/**
 * Divides one step among the generations: who writes gets its one token, and who still reads shares the rest equally. A step is
 * one batch and cannot be interrupted, so its budget is what bounds how long an abort can take, and how long the writers wait
 * for the readers.
 * @param wishes - no more than `budgetTokens / 2`, so that everyone moves in every step
 * @param budgetTokens - most tokens in one step
 * @returns the tokens for each, in the same order, each 1 or more, together at most `budgetTokens`
 */
export function planStep(wishes: readonly Wish[], budgetTokens: number): readonly number[] {
  const shares = wishes.map(() => 1);
  let spare = budgetTokens - wishes.length;
  for (;;) {
    const hungry = wishes.flatMap((wish, at) => (wish.kind === 'prefill' && wish.left > (shares[at] ?? 0) ? [at] : []));
    if (hungry.length === 0 || spare <= 0) return shares;
    const portion = Math.max(1, Math.floor(spare / hungry.length));
    for (const at of hungry) {
      const wish = wishes[at];
      const share = shares[at];
      if (wish?.kind !== 'prefill' || share === undefined) continue;
      const taken = Math.min(portion, wish.left - share, spare);
      shares[at] = share + taken;
      spare -= taken;
    }
  }
}
