/** The two-sided 95 % quantile of the normal distribution. */
const Z = 1.959963984540054;

/** Where a share lies, given how often it was seen: 95 % of such intervals hold the truth, if the observations are independent. */
export interface Interval {
  readonly lower: number;
  readonly upper: number;
}

/**
 * Wilson's interval for a share.
 * @param hits - 0 to `total`; both may be fractional, as weights are
 * @returns 0 to 1 when nothing was seen
 * Source: Wilson 1927.
 */
export function wilson(hits: number, total: number): Interval {
  if (total <= 0) return { lower: 0, upper: 1 };
  const share = hits / total;
  const spread = Z * Math.sqrt((share * (1 - share)) / total + (Z * Z) / (4 * total * total));
  const middle = share + (Z * Z) / (2 * total);
  const scale = 1 + (Z * Z) / total;
  // Exactly none and exactly all, which rounding would miss by an ulp.
  return { lower: hits <= 0 ? 0 : (middle - spread) / scale, upper: hits >= total ? 1 : (middle + spread) / scale };
}

/** One standard error of a share as its interval tells it: unlike √(p(1−p)/n), not zero for a share of 0 or 1. */
export function shareStandardError(hits: number, total: number): number {
  const { lower, upper } = wilson(hits, total);
  return (upper - lower) / (2 * Z);
}

/** What reviewers said of a rule's cases. */
export interface Reviews {
  readonly confirmed: number;
  /** Mistaken ones, and those of which nobody could tell: they are no confirmation. */
  readonly notConfirmed: number;
}

/** How often a rule is right: the interval of its confirmed cases among all that were reviewed. */
export function precisionOf({ confirmed, notConfirmed }: Reviews): Interval {
  return wilson(confirmed, confirmed + notConfirmed);
}
