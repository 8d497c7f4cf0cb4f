import type { Level, Measure, WhenAway } from '#contracts/measures';
import type { Organization } from '#contracts/tenancy';

/** What the limiter can say of itself to operators and tenants. The gateway's side implements it; nothing here takes anything. */
export interface LimitViews {
  /** The rules that hold for an organization, with its tier's and its own values; at once, from memory. */
  rulesOf(organization: Organization): readonly RuleInForce[];
  /** Why values for a rule cannot be kept exactly, in words; null when they can. */
  problemOf(rule: string, values: { readonly limit?: number | undefined; readonly burst?: number | undefined }): string | null;
  /** Each limit on a key as it stands now; null for a key that this gateway does not know. */
  explain(keyId: string): Promise<KeyLimits | null>;
}

export interface RuleInForce {
  readonly rule: string;
  readonly per: readonly Level[];
  readonly of: Measure;
  /** Whole units (micro-dollars for spend) in a window, or held at once; Infinity where the rule sets none, which JSON shows as null. */
  readonly limit: number;
  readonly burst: number;
  /** `1m`, `day`, `month`; null for places. */
  readonly window: string | null;
  readonly modelClasses: readonly string[] | null;
  readonly whenAway: WhenAway;
  readonly isLeased: boolean;
  readonly isDryRun: boolean;
}

export interface LimitState extends RuleInForce {
  /** Which meter: `key_ab12`, or `org_x|large` for a combination. */
  readonly subject: string;
  /** Whole units that may be taken now. */
  readonly left: number;
  /** Until it is full again, or begins anew; null for places. */
  readonly fullInMs: number | null;
  /** Who answered: see `LimitAnswer.by`. */
  readonly by: string;
  /** How wrong `limit` can be at worst for this rule, in its units and ms (docs/limits.md). */
  readonly bounds: { readonly overshoot: number; readonly stranded: number; readonly staleMs: number };
}

export interface KeyLimits {
  readonly limits: readonly LimitState[];
  /** The limit that will refuse first at the present mix of requests, and why; null when nothing is near. */
  readonly bindsNext: { readonly rule: string; readonly subject: string; readonly because: string } | null;
}
