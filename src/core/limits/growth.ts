/**
 * A cap on sharp growth: in one minute at most `factor` times what the last hour was used to, and never less than a floor. It cuts
 * a stolen key or a runaway loop long before a limit that is made for honest peaks. No vendor publishes its numbers; ours are in
 * the tier, and dry run is the default.
 */
export interface GrowthState {
  /** Whole minutes since the clock began; what `count` belongs to. */
  readonly minute: number;
  /** Requests in this minute. */
  readonly count: number;
  /** Usual requests a minute: an exponential average over an hour. */
  readonly usual: number;
}

export interface GrowthCap {
  /** Requests a minute that are always allowed. */
  readonly floor: number;
  readonly factor: number;
}

export type GrowthAnswer =
  | { readonly state: GrowthState; readonly refused: false }
  | { readonly refused: true; readonly waitUs: number };

const MINUTE_US = 60_000_000;
const HOUR_MINUTES = 60;

/**
 * Counts one request of an organization, or refuses it.
 * @param state - what the last call returned; undefined for one not seen yet
 * @param nowUs - monotonic µs; a clock that stepped back stays in the newest minute
 */
export function grow(state: GrowthState | undefined, { floor, factor }: GrowthCap, nowUs: number): GrowthAnswer {
  const current = advance(state, Math.floor(nowUs / MINUTE_US));
  const cap = Math.max(floor, Math.floor(factor * current.usual));
  if (current.count + 1 > cap) return { refused: true, waitUs: Math.max(1, (current.minute + 1) * MINUTE_US - nowUs) };
  return { refused: false, state: { ...current, count: current.count + 1 } };
}

/** Closes the minutes that have passed: the one that was counted, and the silent ones after it. */
function advance(state: GrowthState | undefined, minute: number): GrowthState {
  if (state === undefined) return { minute, count: 0, usual: 0 };
  const passed = minute - state.minute;
  if (passed <= 0) return state;
  const keep = 1 - 1 / HOUR_MINUTES;
  const usual = (state.usual * keep + state.count / HOUR_MINUTES) * keep ** Math.min(passed - 1, 10 * HOUR_MINUTES);
  return { minute, count: 0, usual };
}
