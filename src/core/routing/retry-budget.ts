/**
 * How many second and later attempts a gateway may make: a share of the requests of the last ten seconds, and a floor. Without
 * one, retries of the client, the gateway and the engine multiply and an outage sustains itself.
 * Source: Google SRE book, ch. 22 (per-process retry budget of 10 %).
 */
export interface RetryBudget {
  /** Counts a request's first attempt. */
  request(nowUs: number): void;
  /** Takes one retry out of the budget; false when it is spent. */
  tryTake(nowUs: number): boolean;
}

const WINDOW_S = 10;
const SECOND_US = 1_000_000;

/**
 * @param ratio - retries per request over the window, 0 to 1
 * @param floorPerSecond - retries a second that are always allowed
 */
export function createRetryBudget({
  ratio,
  floorPerSecond,
}: {
  readonly ratio: number;
  readonly floorPerSecond: number;
}): RetryBudget {
  const requests = new Float64Array(WINDOW_S);
  const retries = new Float64Array(WINDOW_S);
  let second = 0; // the newest second that a slot stands for

  const advance = (nowUs: number): number => {
    const now = Math.floor(nowUs / SECOND_US);
    // An hour of silence clears the window once, not 3,600 times. A clock that stepped back clears nothing.
    for (let at = Math.max(second + 1, now - WINDOW_S + 1); at <= now; at++) {
      requests[at % WINDOW_S] = 0;
      retries[at % WINDOW_S] = 0;
    }
    if (now > second) second = now;
    return second % WINDOW_S;
  };
  const add = (counts: Float64Array, slot: number): void => {
    counts[slot] = (counts[slot] as number) + 1;
  };
  const sum = (counts: Float64Array): number => counts.reduce((total, count) => total + count, 0);

  return {
    request: (nowUs) => add(requests, advance(nowUs)),
    tryTake(nowUs) {
      const slot = advance(nowUs);
      if (sum(retries) + 1 > sum(requests) * ratio + floorPerSecond * WINDOW_S) return false;
      add(retries, slot);
      return true;
    },
  };
}
