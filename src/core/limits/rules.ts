import type { LimitRule, Tier } from '#contracts/limits';
import type { Level, Measure, WhenAway } from '#contracts/measures';
import type { Rule, Scope } from './meters.ts';
import type { RateSpec } from './rate.ts';

/** A rule of the configuration, or one of those that are always there, with what a subject has when nothing else is said of it. */
export interface LimitDefinition {
  readonly rule: Rule;
  readonly levels: readonly Level[];
  /** Null: unlimited, unless a tier or the subject itself says otherwise. */
  readonly limit: number | null;
  readonly burst: number | null;
  readonly window: WindowSpec;
  /** Null: all. */
  readonly modelClasses: readonly string[] | null;
}

export type WindowSpec = { readonly kind: 'rate'; readonly windowUs: number } | { readonly kind: 'day' | 'month' | 'places' };

/** `limits.defaults` of the configuration, for each key. */
export interface KeyDefaults {
  readonly rpm?: number | undefined;
  readonly itpm?: number | undefined;
  readonly otpm?: number | undefined;
  readonly concurrency?: number | undefined;
}

const UNITS_US: Readonly<Record<string, number>> = {
  ms: 1_000,
  s: 1_000_000,
  m: 60_000_000,
  h: 3_600_000_000,
  d: 86_400_000_000,
};
const MINUTE: WindowSpec = { kind: 'rate', windowUs: 60_000_000 };

/** Reads `30s`, `5m`, `1h`, `7d`, `day` or `month`. */
function readWindow(text: string): WindowSpec {
  if (text === 'day' || text === 'month') return { kind: text };
  const [, count = '1', unit = 'm'] = /^(\d+)(ms|s|m|h|d)$/.exec(text) ?? [];
  return { kind: 'rate', windowUs: Number(count) * (UNITS_US[unit] ?? 60_000_000) };
}

/** What a definition and the values that hold for one subject make of it. */
export function specOf({ window }: LimitDefinition, limit: number, burst: number | null): RateSpec {
  return window.kind === 'rate'
    ? { kind: 'rate', limit, windowUs: window.windowUs, burst: burst ?? limit }
    : { kind: window.kind, limit };
}

/** The rules of a configuration, after those that are always there; a configured one takes the place of its namesake. */
export function defineLimits(defaults: KeyDefaults, rules: readonly LimitRule[]): readonly LimitDefinition[] {
  const configured = rules.map(definitionOf);
  const names = new Set(configured.map(({ rule }) => rule.id));
  return [...standing(defaults).filter(({ rule }) => !names.has(rule.id)), ...configured];
}

/** What is wrong with rules as a whole, in words; empty when nothing is. */
export function problemsOfRules(
  rules: readonly LimitRule[],
  tiers: readonly Tier[],
  known: readonly LimitDefinition[],
): string[] {
  const names = new Set(known.map(({ rule }) => rule.id));
  return [
    ...rules.flatMap((rule) => problemsOfRule(rule).map((problem) => `limits.rules ${rule.id}: ${problem}`)),
    ...tiers.flatMap(({ id, limits }) =>
      Object.keys(limits)
        .filter((name) => !names.has(name))
        .map((name) => `limits.tiers ${id}: no rule is called ${name}; there are ${[...names].join(', ')}`),
    ),
    ...tiers.flatMap(({ id, promotion }) =>
      promotion && !tiers.some((tier) => tier.id === promotion.to)
        ? [`limits.tiers ${id}: no tier is called ${promotion.to}`]
        : [],
    ),
  ];
}

function problemsOfRule({ of, window, burst, per, cache_read_weight, model_classes }: LimitRule): string[] {
  const holdsPlaces = of === 'concurrency' || of === 'batch_queue';
  const isCalendar = window === 'day' || window === 'month';
  return [
    ...(holdsPlaces && window !== undefined ? [`${of} has no window: places are held, not refilled`] : []),
    ...(!holdsPlaces && window === undefined ? ['say the window: 1m, 1h, day, month, …'] : []),
    ...((holdsPlaces || isCalendar) && burst !== undefined ? ['a burst has no meaning here: leave it out'] : []),
    ...(cache_read_weight > 0 && of !== 'input_tokens' && of !== 'total_tokens'
      ? ['cache_read_weight is for input_tokens and total_tokens']
      : []),
    ...(new Set(per).size !== per.length ? ['per names a level twice'] : []),
    ...(model_classes !== undefined && !per.includes('model_class') ? ['model_classes needs model_class in per'] : []),
    ...(per.includes('model_class') && per.length === 1
      ? ['per needs a level besides model_class: whose traffic is counted?']
      : []),
  ];
}

function definitionOf(rule: LimitRule): LimitDefinition {
  return {
    rule: ruleOf(rule.id, rule.of, {
      output: rule.output,
      cacheReadWeight: rule.cache_read_weight,
      hardStop: rule.hard_stop,
      whenAway: rule.when_away ?? defaultWhenAway(rule.of),
      isLeased: rule.leased,
      isDryRun: rule.dry_run,
    }),
    levels: [...rule.per].toSorted(),
    limit: rule.limit,
    burst: rule.burst ?? null,
    window: rule.window === undefined ? { kind: 'places' } : readWindow(rule.window),
    modelClasses: rule.model_classes ?? null,
  };
}

function ruleOf(id: string, measure: Measure, more: Partial<Rule> = {}): Rule {
  const output = more.output ?? 'metered';
  return {
    id,
    measure,
    output,
    cacheReadWeight: 0,
    hardStop: false,
    whenAway: defaultWhenAway(measure),
    isLeased: true,
    isDryRun: false,
    isMetered: output === 'metered' && (measure === 'output_tokens' || measure === 'total_tokens' || measure === 'spend'),
    ...more,
  };
}

/** Money is never spent blindly. */
const defaultWhenAway = (measure: Measure): WhenAway => (measure === 'spend' ? 'closed' : 'local_share');

/** A key that has been slowed down, and has no limit of its own to be lowered, may send this many requests a minute times its factor. */
export const SLOWED_RPM = 60;
export const SLOW_RULES: readonly string[] = ['slow-key', 'slow-organization', 'slow-end-user'];

/** Rules that are always there: those of `limits.defaults`, and those that hold only for subjects of which something is said. */
function standing({ rpm, itpm, otpm, concurrency }: KeyDefaults): readonly LimitDefinition[] {
  const define = (
    id: string,
    measure: Measure,
    levels: readonly Level[],
    window: WindowSpec,
    limit: number | null = null,
    more: Partial<Rule> = {},
  ): LimitDefinition => ({ rule: ruleOf(id, measure, more), levels, limit, burst: null, window, modelClasses: null });
  const places: WindowSpec = { kind: 'places' };
  const month: WindowSpec = { kind: 'month' };
  return [
    define('rpm', 'requests', ['key'], MINUTE, rpm),
    define('itpm', 'input_tokens', ['key'], MINUTE, itpm),
    define('otpm', 'output_tokens', ['key'], MINUTE, otpm),
    define('tpm', 'total_tokens', ['key'], MINUTE),
    define('concurrency', 'concurrency', ['key'], places, concurrency),
    define('key-spend-month', 'spend', ['key'], month),
    define('slow-key', 'requests', ['key'], MINUTE),
    define('workspace-rpm', 'requests', ['workspace'], MINUTE),
    define('workspace-tpm', 'total_tokens', ['workspace'], MINUTE),
    define('workspace-spend-month', 'spend', ['workspace'], month),
    define('organization-rpm', 'requests', ['organization'], MINUTE),
    define('organization-itpm', 'input_tokens', ['organization'], MINUTE),
    define('organization-otpm', 'output_tokens', ['organization'], MINUTE),
    define('organization-tpm', 'total_tokens', ['organization'], MINUTE),
    define('organization-concurrency', 'concurrency', ['organization'], places),
    define('spend-month', 'spend', ['organization'], month),
    define('spend-month-soft', 'spend', ['organization'], month, null, { isDryRun: true }),
    define('slow-organization', 'requests', ['organization'], MINUTE),
    define('end-user-rpm', 'requests', ['end_user'], MINUTE),
    define('end-user-tpm', 'total_tokens', ['end_user'], MINUTE),
    define('slow-end-user', 'requests', ['end_user'], MINUTE),
  ];
}

/**
 * Rules that sit on the same levels, side by side.
 * @param places - grows by the scopes that are new
 */
export function scopesOf(
  definitions: readonly LimitDefinition[],
  places: Map<string, number>,
): readonly (Scope & { readonly of: readonly LimitDefinition[] })[] {
  const byLevels = new Map<string, LimitDefinition[]>();
  for (const definition of definitions) {
    const id = definition.levels.join('+');
    byLevels.set(id, [...(byLevels.get(id) ?? []), definition]);
  }
  return [...byLevels].map(([id, of]) => {
    const name = `${id}: ${of.map(({ rule }) => rule.id).join(' ')}`;
    const index = places.get(name) ?? places.size;
    places.set(name, index);
    return { index, id, of, rules: of.map(({ rule }) => rule) };
  });
}
