import { celEnv, CelScalar, parse, plan } from '@bufbuild/cel';
import type { AbuseRule } from '#contracts/abuse';
import { err, nearest, ok, type Result } from '../kernel/index.ts';
import {
  isSignalName,
  isSignalOf,
  type Reading,
  SIGNAL_NAMES,
  SIGNALS,
  type SignalName,
  type SignalSpec,
  type WatchedKind,
} from './signal-names.ts';

/**
 * What a rule says of a subject. One that reads a signal that could not be told is `unmeasured`, whatever the rest of it says: it
 * does not fire, and it has not found the subject in order either.
 */
export type Judgement =
  | { readonly kind: 'fires' }
  | { readonly kind: 'quiet' }
  | { readonly kind: 'unmeasured'; readonly signals: readonly SignalName[] };

/** A rule that can be asked: a fraction of a microsecond for each signal that it reads. */
export interface CompiledRule {
  readonly rule: AbuseRule;
  /** Signals that it reads, each once. */
  readonly signals: readonly SignalName[];
  judge(reading: Reading): Judgement;
}

/** Parts of an expression: names, numbers and operators. Each is worked out at most once, so this bounds what a rule can cost. */
export const RULE_PARTS_MAX = 64;
const ERROR_SUFFIX = '_error';

type Expression = ReturnType<typeof parse>['expr'];
type Type = 'number' | 'boolean';

/**
 * Makes rules ready, all or none.
 * @returns what is wrong with each that cannot be, by its id
 */
export function compileRules(
  rules: readonly AbuseRule[],
): Result<readonly CompiledRule[], readonly { readonly id: string; readonly message: string }[]> {
  const compiled: CompiledRule[] = [];
  const problems: { readonly id: string; readonly message: string }[] = [];
  for (const rule of rules) {
    const result = compileRule(rule);
    if (result.ok) compiled.push(result.value);
    else problems.push({ id: rule.id, message: result.error });
  }
  return problems.length > 0 ? err(problems) : ok(compiled);
}

/**
 * Makes one rule ready. Its language is CEL without what could take long or could not be typed: numbers (all of them doubles, so
 * that `5` and `5.0` are the same), true and false, the signals of its subject's kind, `<signal>_error` for one standard error of
 * an estimate, arithmetic, comparisons, `&&`, `||`, `!` and `? :`. No strings, lists, functions or macros.
 * @returns the rule, or what is wrong with its expression, in words for whoever wrote it
 */
export function compileRule(rule: AbuseRule): Result<CompiledRule, string> {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(rule.when);
  } catch (error) {
    return err(`is not CEL: ${error instanceof Error ? error.message : String(error)}`);
  }
  const names = new Map<string, SignalName>();
  const checked = check(parsed.expr, { kind: rule.on, names, parts: 0 });
  if (!checked.ok) return checked;
  if (checked.value !== 'boolean') return err('is a number: compare it with something, as in velocity_change > 1');
  const variables = Object.fromEntries([...names.keys()].map((name) => [name, CelScalar.DOUBLE]));
  const evaluate = plan(celEnv({ variables }), parsed);
  const signals = [...new Set(names.values())];
  const reads = [...names].map(([name, signal]) => ({ name, signal, isError: name !== signal }));
  return ok({
    rule,
    signals,
    judge({ values, errors }) {
      const unknown = signals.filter((signal) => values[signal] === null);
      if (unknown.length > 0) return { kind: 'unmeasured', signals: unknown };
      const bound = Object.fromEntries(
        reads.map(({ name, signal, isError }) => [name, isError ? (errors[signal] ?? 0) : (values[signal] ?? 0)]),
      );
      const said = evaluate(bound);
      // A typed expression over numbers has no other way out than true or false; if it finds one, nothing was measured.
      return said === true ? { kind: 'fires' } : said === false ? { kind: 'quiet' } : { kind: 'unmeasured', signals: [] };
    },
  });
}

interface Check {
  readonly kind: WatchedKind;
  /** Variables met so far, and the signal that each is of. */
  readonly names: Map<string, SignalName>;
  parts: number;
}

/** Operators by CEL's names for them: what they take, and what they give. */
const OPERATORS: Record<string, { readonly takes: readonly Type[]; readonly gives: Type }> = {
  '_&&_': { takes: ['boolean', 'boolean'], gives: 'boolean' },
  '_||_': { takes: ['boolean', 'boolean'], gives: 'boolean' },
  '!_': { takes: ['boolean'], gives: 'boolean' },
  '_<_': { takes: ['number', 'number'], gives: 'boolean' },
  '_<=_': { takes: ['number', 'number'], gives: 'boolean' },
  '_>_': { takes: ['number', 'number'], gives: 'boolean' },
  '_>=_': { takes: ['number', 'number'], gives: 'boolean' },
  '_==_': { takes: ['number', 'number'], gives: 'boolean' },
  '_!=_': { takes: ['number', 'number'], gives: 'boolean' },
  '_+_': { takes: ['number', 'number'], gives: 'number' },
  '_-_': { takes: ['number', 'number'], gives: 'number' },
  '_*_': { takes: ['number', 'number'], gives: 'number' },
  '_/_': { takes: ['number', 'number'], gives: 'number' },
  '-_': { takes: ['number'], gives: 'number' },
};

/** Types an expression, and turns its whole numbers into doubles in place. */
function check(expression: Expression | undefined, state: Check): Result<Type, string> {
  if (++state.parts > RULE_PARTS_MAX) return err(`has more than ${RULE_PARTS_MAX} parts: make it two rules`);
  const kind = expression?.exprKind;
  switch (kind?.case) {
    case 'constExpr': {
      const constant = kind.value.constantKind;
      if (constant.case === 'boolValue') return ok('boolean');
      if (constant.case === 'doubleValue') return ok('number');
      if (constant.case !== 'int64Value' && constant.case !== 'uint64Value')
        return err('may hold numbers, true and false, and no other literals');
      kind.value.constantKind = { case: 'doubleValue', value: Number(constant.value) };
      return ok('number');
    }
    case 'identExpr':
      return checkName(kind.value.name, state);
    case 'callExpr':
      return checkCall(kind.value, state);
    default:
      return err('may hold signals, numbers and operators: no fields, lists, maps or macros');
  }
}

function checkName(name: string, { kind, names }: Check): Result<Type, string> {
  const signal = name.endsWith(ERROR_SUFFIX) ? name.slice(0, -ERROR_SUFFIX.length) : name;
  if (!isSignalName(signal) || !isSignalOf(signal, kind)) {
    const known = SIGNAL_NAMES.filter((candidate) => isSignalOf(candidate, kind));
    const near = nearest(signal, known);
    return err(`names ${name}, which is no signal of ${kind}${near ? `: did you mean ${near}?` : ''}`);
  }
  const { isEstimate }: SignalSpec = SIGNALS[signal];
  if (name !== signal && !isEstimate) return err(`names ${name}, but ${signal} is exact and has no error`);
  names.set(name, signal);
  return ok('number');
}

type Call = Extract<NonNullable<Expression>['exprKind'], { case: 'callExpr' }>['value'];

function checkCall({ function: name, target, args }: Call, state: Check): Result<Type, string> {
  const types: Type[] = [];
  for (const argument of args) {
    const type = check(argument, state);
    if (!type.ok) return type;
    types.push(type.value);
  }
  if (name === '_?_:_' && types[0] === 'boolean' && types[1] === types[2] && types[1] !== undefined) return ok(types[1]);
  const operator = target === undefined && Object.hasOwn(OPERATORS, name) ? OPERATORS[name] : undefined;
  const word = name.replaceAll('_', '');
  if (!operator) return err(name === '_?_:_' ? 'has a ? : whose parts do not match' : `may not call ${word || name}`);
  if (operator.takes.some((type, at) => types[at] !== type))
    return err(
      `has ${types.map((type) => `a ${type}`).join(' and ')} for ${word}, which takes ${operator.takes.map((type) => `a ${type}`).join(' and ')}`,
    );
  return ok(operator.gives);
}
