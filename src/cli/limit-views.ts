import type { Config } from '#contracts/config';
import type { Clock } from '#contracts/clock';
import type { KeyLimits, LimitState, LimitViews, RuleInForce } from '#control';
import {
  bindsNext,
  boundsOf,
  problemOfOverride,
  RATE_KINDS,
  unitsLeft,
  usUntilFull,
  utcDay,
  utcMonth,
  type LimitDefinition,
  type MeterState,
  type Rate,
} from '#core/limits';
import { CHARGE_TOKENS, type Caller, type Limiter } from '#gateway';
import type { LimitAnswer } from '#storage';

export interface LimitViewsOptions {
  readonly limiter: () => Limiter;
  readonly config: () => Config;
  /** A key in good order by its id; null for any other. */
  readonly callerOf: (keyId: string) => Caller | null;
  readonly clock: Clock;
}

/** What the limiter says of itself to the admin API: the rules in force, and each limit of a key as it stands. */
export function createLimitViews({ limiter, config, callerOf, clock }: LimitViewsOptions): LimitViews {
  return {
    rulesOf: (organization) =>
      limiter().planner.definitions.map((definition) => {
        const { tierOf } = limiter().planner;
        const id = definition.rule.id;
        const tier = tierOf.call(limiter().planner, organization.tier);
        const ofTier = tier?.limits[id] ?? {};
        const own = organization.limits[id] ?? {};
        const limit = own.limit ?? ofTier.limit ?? definition.limit ?? Infinity;
        return ruleInForce(definition, { limit, burst: own.burst ?? ofTier.burst ?? definition.burst ?? limit });
      }),
    problemOf: (rule, values) => problemOfOverride(limiter().planner, rule, values),
    async explain(keyId) {
      const caller = callerOf(keyId);
      if (caller === null) return null;
      const { planner, store, groupsOf, mixOf } = limiter();
      // A key that may call some models only is told of those; any other of each class that is served.
      const models = caller.key.scopes.models ?? config().models.map(({ id }) => id);
      const classes = new Set(['-', ...models.map((model) => planner.modelClassOf(model))]);
      const states = new Map<string, { readonly state: MeterState; readonly by: LimitAnswer['by'] }>();
      for (const name of classes) {
        const groups = groupsOf(caller, name);
        const answer = await store.peek(groups);
        let place = 0;
        for (const { scope, subject, rates } of groups)
          for (const [at, rule] of scope.rules.entries()) {
            const rate = rates[at] as Rate;
            const state = { rule, subject, rate, ahead: answer.ahead[place++] as number };
            if (rate.kind !== RATE_KINDS.unlimited && !(name === '-' && scope.id.includes('model_class')))
              states.set(`${rule.id} ${subject}`, { state, by: answer.by });
          }
      }
      const all = [...states.values()];
      const limits = all.map(({ state, by }) => limitState(state, by));
      const next = bindsNext(
        all.map(({ state }) => state),
        mixOf(keyId),
        clock.nowUs(),
      );
      return { limits, bindsNext: next } satisfies KeyLimits;
    },
  };

  function limitState({ rule, subject, rate, ahead }: MeterState, by: LimitAnswer['by']): LimitState {
    const definition = limiter().planner.definitions.find((one) => one.rule.id === rule.id) as LimitDefinition;
    const { lease_ms: leaseMs } = config().limits;
    const { kind, gateways } = limiter().store.status();
    const fleet = { gateways, leaseMs, placesLeaseMs: leaseMs, chargeStep: CHARGE_TOKENS };
    const bounds = boundsOf(kind === 'memory' ? { ...rule, isLeased: false } : rule, rate, fleet);
    return {
      ...ruleInForce(definition, rate),
      subject,
      left: unitsLeft(rate, ahead),
      fullInMs: fullInMs(rate, ahead, clock.wallMs()),
      by,
      bounds: {
        overshoot: bounds.overshoot.answering + bounds.overshoot.answeringPerStream,
        stranded: bounds.stranded,
        staleMs: bounds.stalenessMs,
      },
    };
  }
}

function ruleInForce(
  { rule, levels, window, modelClasses }: LimitDefinition,
  { limit, burst }: { readonly limit: number; readonly burst: number },
): RuleInForce {
  return {
    rule: rule.id,
    per: levels,
    of: rule.measure,
    limit,
    burst,
    window: window.kind === 'rate' ? windowText(window.windowUs) : window.kind === 'places' ? null : window.kind,
    modelClasses,
    whenAway: rule.whenAway,
    isLeased: rule.isLeased,
    isDryRun: rule.isDryRun,
  };
}

const UNITS = [
  ['d', 86_400_000_000],
  ['h', 3_600_000_000],
  ['m', 60_000_000],
  ['s', 1_000_000],
] as const;

function windowText(us: number): string {
  const [unit, size] = UNITS.find(([, of]) => us % of === 0) ?? (['ms', 1_000] as const);
  return `${us / size}${unit}`;
}

function fullInMs(rate: Rate, ahead: number, wallMs: number): number | null {
  if (rate.kind === RATE_KINDS.rate) return Math.ceil(usUntilFull(rate, ahead) / 1000);
  if (rate.kind === RATE_KINDS.day) return utcDay(wallMs).endMs - wallMs;
  return rate.kind === RATE_KINDS.month ? utcMonth(wallMs).endMs - wallMs : null;
}
