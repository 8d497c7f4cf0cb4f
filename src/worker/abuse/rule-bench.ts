import type { AbuseRule } from '#contracts/abuse';
import type { CompiledRule, Judgement, Reading, SignalName, WatchedKind } from '#core/abuse';

/** The rules in force, and what they have said so far. */
export interface RuleBench {
  /** Asks all rules of a kind of subject. @returns those that fire */
  judge(kind: WatchedKind, reading: Reading): readonly CompiledRule[];
  /** What each rule of that kind says, uncounted. */
  ask(kind: WatchedKind, reading: Reading): readonly { readonly rule: AbuseRule; readonly judgement: Judgement }[];
  counts(): readonly RuleCounts[];
}

export interface RuleCounts {
  readonly rule: AbuseRule;
  readonly judged: number;
  readonly fired: number;
  /** Times that it could not tell, and of these how often each signal was why. */
  readonly unmeasured: number;
  readonly missing: { readonly [signal in SignalName]?: number };
}

/** @param before - whose counts go on, for rules that are the same as before */
export function createRuleBench(rules: readonly CompiledRule[], before?: RuleBench): RuleBench {
  const known = new Map(before?.counts().map((counts) => [JSON.stringify(counts.rule), counts]));
  const seats = rules.map((compiled) => {
    const { judged = 0, fired = 0, unmeasured = 0, missing = {} } = known.get(JSON.stringify(compiled.rule)) ?? {};
    return { compiled, judged, fired, unmeasured, missing: { ...missing } as { [signal in SignalName]?: number } };
  });
  const byKind = Map.groupBy(seats, ({ compiled }) => compiled.rule.on);
  return {
    judge(kind, reading) {
      const firing: CompiledRule[] = [];
      for (const seat of byKind.get(kind) ?? []) {
        seat.judged++;
        const judgement = seat.compiled.judge(reading);
        if (judgement.kind === 'fires') {
          seat.fired++;
          firing.push(seat.compiled);
        } else if (judgement.kind === 'unmeasured') {
          seat.unmeasured++;
          for (const signal of judgement.signals) seat.missing[signal] = (seat.missing[signal] ?? 0) + 1;
        }
      }
      return firing;
    },
    ask: (kind, reading) =>
      (byKind.get(kind) ?? []).map(({ compiled }) => ({ rule: compiled.rule, judgement: compiled.judge(reading) })),
    counts: () => seats.map(({ compiled, ...counts }) => ({ rule: compiled.rule, ...counts })),
  };
}
