/** A place where a request could go: a replica that serves its model. */
export interface Candidate {
  readonly replica: CandidateReplica;
}

/** What placement knows of a replica. */
export interface CandidateReplica {
  /** Requests that the gateway itself has open there, 0 or more. */
  readonly outstanding: number;
  /** Monotonic µs until which no new work goes there (its own 429 or 529, or a connection that failed); 0 when none. */
  readonly pausedUntilUs: number;
}

export type Placement =
  | { readonly kind: 'replica'; readonly index: number }
  /** Every replica that is left is paused; the first is free again after `waitUs`. */
  | { readonly kind: 'paused'; readonly waitUs: number }
  /** None is left that has not been tried. */
  | { readonly kind: 'exhausted' };

/**
 * Chooses the replica with the least open work among those neither tried nor paused.
 * @param tried - indices that this request has been to
 * @param nowUs - monotonic µs
 * @param draw - uniform in [0, 1): where to begin looking, so that equals share the work and a burst does not go to the first
 */
export function place(candidates: readonly Candidate[], tried: ReadonlySet<number>, nowUs: number, draw: number): Placement {
  const count = candidates.length;
  let best = -1;
  let bestOutstanding = Infinity;
  let waitUs = Infinity;
  let at = Math.min(Math.floor(draw * count), count - 1);
  for (let seen = 0; seen < count; seen++, at = at + 1 === count ? 0 : at + 1) {
    if (tried.has(at)) continue;
    const candidate = (candidates[at] as Candidate).replica;
    if (candidate.pausedUntilUs > nowUs) waitUs = Math.min(waitUs, candidate.pausedUntilUs - nowUs);
    else if (candidate.outstanding < bestOutstanding) {
      best = at;
      bestOutstanding = candidate.outstanding;
    }
  }
  if (best !== -1) return { kind: 'replica', index: best };
  return waitUs === Infinity ? { kind: 'exhausted' } : { kind: 'paused', waitUs };
}
