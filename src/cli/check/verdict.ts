/** What a check found. "Could not tell" is an answer of its own, never a pass, and says what would settle it. */
export type Verdict =
  | { readonly kind: 'pass'; readonly because: string }
  | { readonly kind: 'fail'; readonly because: string }
  | { readonly kind: 'unknown'; readonly because: string; readonly wouldSettle: string };

export const pass = (because: string): Verdict => ({ kind: 'pass', because });
export const fail = (because: string): Verdict => ({ kind: 'fail', because });
export const unknown = (because: string, wouldSettle: string): Verdict => ({ kind: 'unknown', because, wouldSettle });

/** As many problems as a line of a report can bear. */
const PROBLEMS_MAX = 4;

/** Passes when nothing is wrong, and fails with what is, each said once. */
export function judge(problems: readonly string[], whenNone: string): Verdict {
  const distinct = [...new Set(problems)];
  if (distinct.length === 0) return pass(whenNone);
  const more = distinct.length > PROBLEMS_MAX ? `; and ${distinct.length - PROBLEMS_MAX} more` : '';
  return fail(`${distinct.slice(0, PROBLEMS_MAX).join('; ')}${more}`);
}

/** Text from a gateway, cut short for a report. */
export function quote(text: string, charactersMax = 120): string {
  return JSON.stringify(text.length > charactersMax ? `${text.slice(0, charactersMax)}…` : text);
}
