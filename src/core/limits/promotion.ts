import type { Tier } from '#contracts/limits';

/** What decides whether an organization may move up a tier. */
export interface PromotionFacts {
  readonly ageDays: number;
  /** Micro-dollars spent so far; null when some of its requests had no price, so that nobody can say. */
  readonly spentMicroUsd: number | null;
  /** Was anything harder than a note done about it, or what is under it, that was not taken back? */
  readonly hasActions: boolean;
}

export type Promotion =
  | { readonly kind: 'none' }
  | { readonly kind: 'eligible'; readonly to: string }
  | { readonly kind: 'not_yet'; readonly to: string; readonly because: readonly string[] }
  /** Something that it depends on is not known; never a promotion. */
  | { readonly kind: 'unmeasured'; readonly to: string; readonly because: readonly string[] };

/** Judges a tier's promotion rule; applying it is somebody's decision. @param tier - the organization's now; null for none */
export function promotionOf(tier: Tier | null, { ageDays, spentMicroUsd, hasActions }: PromotionFacts): Promotion {
  const rule = tier?.promotion;
  if (!rule) return { kind: 'none' };
  const { to } = rule;
  const missing = [
    ...(ageDays < rule.days ? [`it is ${Math.floor(ageDays)} of ${rule.days} days old`] : []),
    ...(spentMicroUsd !== null && spentMicroUsd < rule.spent ? [`it has spent ${usd(spentMicroUsd)} of ${usd(rule.spent)}`] : []),
    ...(rule.no_actions && hasActions ? ['actions against it stand'] : []),
  ];
  if (missing.length > 0) return { kind: 'not_yet', to, because: missing };
  if (spentMicroUsd === null && rule.spent > 0)
    return { kind: 'unmeasured', to, because: ['some of its requests had no price, so what it has spent is not known'] };
  return { kind: 'eligible', to };
}

const usd = (micro: number): string => `$${(micro / 1e6).toFixed(2)}`;
