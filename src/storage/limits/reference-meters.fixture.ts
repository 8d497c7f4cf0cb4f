import { RATE_KINDS, type MeterGroup, type Rate, type Rule } from '#core/limits';

/**
 * What limits are, said as simply as possible and in numbers without end: a rate is how far, in parts of a µs, what was taken runs
 * ahead of the clock; a day is a count and its name; places are a count. Nothing is shared with the code under test.
 */
export interface ReferenceMeters {
  /** @returns the flat place of the longest wait (−1: taken) and the wait in µs; null for a wait that nobody can name */
  take(
    groups: readonly MeterGroup[],
    costs: readonly number[],
    wallUs: number,
  ): { readonly refusedBy: number; readonly waitUs: number | null };
  settle(groups: readonly MeterGroup[], deltas: readonly number[], wallUs: number): void;
}

interface State {
  /** A rate: in 1/limit µs. */
  fullAt: bigint;
  count: number;
  period: string;
}

const NEVER = Number.POSITIVE_INFINITY;

export function createReferenceMeters(): ReferenceMeters {
  const states = new Map<string, State>();
  const stateOf = (group: MeterGroup, rule: Rule): State => {
    const name = `${group.tenant} ${group.scope.id} ${group.subject} ${rule.id}`;
    const state = states.get(name) ?? { fullAt: 0n, count: 0, period: '' };
    states.set(name, state);
    return state;
  };
  const all = (groups: readonly MeterGroup[]): { rule: Rule; rate: Rate; state: State }[] =>
    groups.flatMap((group) =>
      group.rates.map((rate, of) => {
        const rule = group.scope.rules[of] as Rule;
        return { rule, rate, state: stateOf(group, rule) };
      }),
    );
  const begin = (rate: Rate, state: State, wallUs: number): void => {
    const now = BigInt(wallUs) * BigInt(rate.limit);
    if (state.fullAt < now) state.fullAt = now;
    const period = periodName(rate, wallUs);
    if (period !== state.period && period !== '') [state.count, state.period] = [0, period];
  };
  const wait = (rate: Rate, state: State, need: number, wallUs: number): number | null => {
    if (rate.kind === RATE_KINDS.rate) {
      if (need > rate.burst) return NEVER;
      const unit = BigInt(rate.windowUs);
      const over = state.fullAt + BigInt(need) * unit - BigInt(wallUs) * BigInt(rate.limit) - BigInt(rate.burst) * unit;
      return over <= 0n ? 0 : Number((over + BigInt(rate.limit) - 1n) / BigInt(rate.limit));
    }
    if (rate.kind === RATE_KINDS.unlimited || state.count + need <= rate.limit) return 0;
    if (need > rate.limit) return NEVER;
    return rate.kind === RATE_KINDS.places ? null : periodEnd(rate, wallUs) - wallUs;
  };
  return {
    take(groups, costs, wallUs) {
      const meters = all(groups);
      let [refusedBy, longest]: [number, number | null] = [-1, 0];
      const dry = new Set<number>();
      meters.forEach(({ rule, rate, state }, place) => {
        begin(rate, state, wallUs);
        const waitUs = wait(rate, state, Math.max(rule.isMetered ? 1 : 0, costs[place] as number), wallUs);
        if (waitUs === 0) return;
        if (rule.isDryRun) return void dry.add(place);
        // A place counts as a second: when to ask again.
        if ((waitUs ?? 1_000_000) > (longest ?? 1_000_000) || refusedBy === -1) [refusedBy, longest] = [place, waitUs];
      });
      if (refusedBy !== -1) return { refusedBy, waitUs: longest };
      meters.forEach(({ rate, state }, place) => {
        if (dry.has(place)) return;
        state.fullAt += BigInt(costs[place] as number) * BigInt(rate.windowUs);
        state.count += costs[place] as number;
      });
      return { refusedBy: -1, waitUs: 0 };
    },
    settle(groups, deltas, wallUs) {
      all(groups).forEach(({ rate, state }, place) => {
        begin(rate, state, wallUs);
        if (rate.kind === RATE_KINDS.rate) {
          const now = BigInt(wallUs) * BigInt(rate.limit);
          const most = now + BigInt(rate.burst + rate.limit) * BigInt(rate.windowUs);
          state.fullAt += BigInt(deltas[place] as number) * BigInt(rate.windowUs);
          if (state.fullAt < now) state.fullAt = now;
          if (state.fullAt > most) state.fullAt = most;
        } else state.count = Math.max(0, state.count + (deltas[place] as number));
      });
    },
  };
}

const periodName = ({ kind }: Rate, wallUs: number): string => {
  const day = new Date(Math.floor(wallUs / 1000)).toISOString();
  return kind === RATE_KINDS.day ? day.slice(0, 10) : kind === RATE_KINDS.month ? day.slice(0, 7) : '';
};

function periodEnd({ kind }: Rate, wallUs: number): number {
  const at = new Date(Math.floor(wallUs / 1000));
  return kind === RATE_KINDS.day
    ? Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate() + 1) * 1000
    : Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1) * 1000;
}
