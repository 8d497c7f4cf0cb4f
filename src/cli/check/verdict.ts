/** What a check found. "Could not tell" is an answer of its own, never a pass, and says what would settle it. */
export type Verdict =
  | { readonly kind: 'pass'; readonly because: string }
  | { readonly kind: 'fail'; readonly because: string }
  | { readonly kind: 'unknown'; readonly because: string; readonly wouldSettle: string };

export const pass = (because: string): Verdict => ({ kind: 'pass', because });
export const fail = (because: string): Verdict => ({ kind: 'fail', because });
export const unknown = (because: string, wouldSettle: string): Verdict => ({ kind: 'unknown', because, wouldSettle });

/** Passes when nothing is wrong, and fails with everything that is. */
export function judge(problems: readonly string[], whenNone: string): Verdict {
  return problems.length === 0 ? pass(whenNone) : fail(problems.join('; '));
}

/** Text from a gateway, cut short for a report. */
export function quote(text: string, charactersMax = 120): string {
  const line = JSON.stringify(text.length > charactersMax ? `${text.slice(0, charactersMax)}…` : text);
  return line;
}
