/**
 * Whether a shared store is asked at all.
 *
 * - `closed`: it answers. → `open` on the first failure, so that a frozen store costs what was already under way one budget, and
 *   nothing after that.
 * - `open`: it does not, and is left alone until `probeAtUs`. → `probing` then.
 * - `probing`: one question is under way. → `open` for longer if it fails, `learning` or `closed` if it is answered.
 * - `learning`: it answers again. What gateways let pass by themselves they tell it now, and what they hold; until all have had
 *   the time to, each goes on by itself. → `closed` at `untilUs`, `open` on a failure.
 */
export type Breaker =
  | { readonly kind: 'closed' }
  | {
      readonly kind: 'open';
      readonly sinceUs: number;
      readonly because: string;
      readonly probes: number;
      readonly probeAtUs: number;
    }
  | { readonly kind: 'probing'; readonly sinceUs: number; readonly because: string; readonly probes: number }
  | { readonly kind: 'learning'; readonly sinceUs: number; readonly because: string; readonly untilUs: number };

export const CLOSED_BREAKER: Breaker = { kind: 'closed' };

/** Pause before the second probe, doubling up to the longest; the first follows the failure at once. */
const PAUSE_US = 20_000;
const PROBE_PAUSE_US_MAX = 1_000_000;
/** Every gateway probes at least so often, and then tells what it holds. */
const LEARNING_US = 1_500_000;

/** Away for less than this, no gateway has let anything pass by itself, and there is nothing to learn. */
const BLIP_US = 250_000;
/** Gateways notice within a beat of each other that the store is away; shares are used only when all must have. */
export const SHARE_AFTER_US = 2 * BLIP_US;
/** How often a gateway speaks to the store at least, so that this is so. */
export const BEAT_MS = 200;

/**
 * An operation failed, or was not answered within its budget.
 * @param because - why, in words without secrets
 * @param nowUs - monotonic µs
 * @param chance - uniform in [0, 1): spreads the probes of a fleet
 */
export function breakerFailed(breaker: Breaker, because: string, nowUs: number, chance: number): Breaker {
  switch (breaker.kind) {
    case 'closed':
      return { kind: 'open', sinceUs: nowUs, because, probes: 0, probeAtUs: nowUs };
    case 'open':
      // Others that were under way when it opened: no news.
      return breaker;
    case 'probing': {
      const pauseUs = Math.min(PROBE_PAUSE_US_MAX, PAUSE_US * 2 ** Math.min(breaker.probes, 10));
      const probeAtUs = nowUs + Math.round(pauseUs * (1 - chance / 2));
      return { kind: 'open', sinceUs: breaker.sinceUs, because, probes: breaker.probes + 1, probeAtUs };
    }
    case 'learning':
      return { kind: 'open', sinceUs: breaker.sinceUs, because, probes: 0, probeAtUs: nowUs };
  }
}

/** Is it time for a probe? Then this is the state while it is under way; null when it is not. */
export function breakerProbes(breaker: Breaker, nowUs: number): Breaker | null {
  if (breaker.kind !== 'open' || nowUs < breaker.probeAtUs) return null;
  return { kind: 'probing', sinceUs: breaker.sinceUs, because: breaker.because, probes: breaker.probes };
}

/** The probe was answered as it must be. */
export function breakerAnswered(breaker: Breaker, nowUs: number): Breaker {
  if (breaker.kind !== 'probing') return breaker;
  if (nowUs - breaker.sinceUs < BLIP_US) return CLOSED_BREAKER;
  return { kind: 'learning', sinceUs: breaker.sinceUs, because: breaker.because, untilUs: nowUs + LEARNING_US };
}

/** The end of learning, when it has come. */
export function breakerAfter(breaker: Breaker, nowUs: number): Breaker {
  return breaker.kind === 'learning' && nowUs >= breaker.untilUs ? CLOSED_BREAKER : breaker;
}
