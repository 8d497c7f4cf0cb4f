/** Prices of one model, whole micro-dollars for a million tokens of each kind. */
export interface Price {
  readonly input: number;
  readonly output: number;
  /** Absent: reads cost what input costs. */
  readonly cacheRead?: number | undefined;
  /** Absent: writes cost what input costs. */
  readonly cacheWrite?: number | undefined;
}

/** Whole tokens by kind. */
export interface PricedTokens {
  readonly input: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly output: number;
}

/**
 * What a request costs.
 * @returns whole micro-dollars, rounded up once over the sum, so that nothing that has a price is free
 */
export function costMicroUsd(price: Price, tokens: PricedTokens): number {
  const millionths =
    BigInt(tokens.input) * BigInt(price.input) +
    BigInt(tokens.output) * BigInt(price.output) +
    BigInt(tokens.cacheRead) * BigInt(price.cacheRead ?? price.input) +
    BigInt(tokens.cacheWrite) * BigInt(price.cacheWrite ?? price.input);
  return Number((millionths + 999_999n) / 1_000_000n);
}
