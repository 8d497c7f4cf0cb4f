/** What a route answers; the shell turns it into a response. */
export type Answer =
  | { readonly kind: 'json'; readonly status: number; readonly body: object }
  | { readonly kind: 'text'; readonly contentType: string; readonly text: string };

/** Why a request to the admin API failed; documented in docs/tenancy.md. */
const PROBLEMS = {
  invalid_request: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  request_too_large: 413,
  internal: 500,
  unavailable: 503,
} as const;
type ProblemType = keyof typeof PROBLEMS;

export function json(body: object, status = 200): Answer {
  return { kind: 'json', status, body };
}

/** @param message - what was wrong and what to do; never a secret, nor anything that a stranger could not know */
export function problem(type: ProblemType, message: string): Answer {
  return json({ error: { type, message } }, PROBLEMS[type]);
}

export function notFound(what: string, id: string): Answer {
  return problem('not_found', `There is no ${what} ${JSON.stringify(id.slice(0, 128))} that this key can reach`);
}

export function conflict(what: string): Answer {
  return problem('conflict', `${what} was changed by somebody else in the meantime; read it again and repeat the change`);
}
