import type { AbuseConfig, AbuseRule } from '#contracts/abuse';
import { type CompiledRule, compileRules, DEFAULT_RULES } from '#core/abuse';

/** Thrown for rules that cannot be meant, with everything that is wrong with them. */
export class BadAbuseRules extends Error {
  override readonly name = 'BadAbuseRules';

  constructor(problems: readonly { readonly id: string; readonly message: string }[]) {
    super(problems.map(({ id, message }) => `abuse.rules: ${id} ${message}`).join('\n'));
  }
}

/** The configuration's rules after the shipped ones, where those are wanted; one with the id of a shipped rule takes its place. */
export function rulesInForce({ rules, default_rules }: Pick<AbuseConfig, 'rules' | 'default_rules'>): readonly AbuseRule[] {
  if (!default_rules) return rules;
  return [...DEFAULT_RULES.filter(({ id }) => rules.every((rule) => rule.id !== id)), ...rules];
}

/** Makes rules ready to be asked, all of them, or throws {@link BadAbuseRules}. */
export function compiledRules(rules: readonly AbuseRule[]): readonly CompiledRule[] {
  const compiled = compileRules(rules);
  if (!compiled.ok) throw new BadAbuseRules(compiled.error);
  return compiled.value;
}
