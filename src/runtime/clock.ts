import type { Clock } from '#contracts/clock';

/** The machine's own clocks. */
export function createSystemClock(): Clock {
  return {
    nowUs: () => Math.round(performance.now() * 1000),
    wallMs: () => Date.now(),
    after(delayMs, task) {
      const timer = setTimeout(task, delayMs);
      timer.unref();
      return { cancel: () => clearTimeout(timer) };
    },
  };
}
