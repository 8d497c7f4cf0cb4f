import type { Clock, Timer } from '#contracts/clock';

/** The machine's own clocks. */
export function createSystemClock(): Clock {
  return {
    nowUs: () => Math.round(performance.now() * 1000),
    wallMs: () => Date.now(),
    after: (delayMs, task) => new SystemTimer(delayMs, task),
  };
}

/** A class, because every request makes a few: one object instead of an object and a closure. */
class SystemTimer implements Timer {
  readonly #timeout: NodeJS.Timeout;

  constructor(delayMs: number, task: () => void) {
    this.#timeout = setTimeout(task, delayMs);
    this.#timeout.unref();
  }

  cancel(): void {
    clearTimeout(this.#timeout);
  }
}
