import type { Clock, Timer } from '#contracts/clock';

/** Waits for work that may take so long and no longer. All of it has the same time, so that it falls due in order, and one timer does. */
export interface Deadlines {
  /**
   * @param work - never rejects
   * @returns what `work` comes to, or null when it took longer; `late` then gets it
   */
  within<T>(work: Promise<T>, late: (value: T) => void): Promise<T | null>;
}

interface Waiting {
  readonly dueUs: number;
  readonly expire: () => void;
}

/** An answer that has arrived while this process was busy is read before it is called late: there is so much between two looks. */
const LAST_LOOK_MS = 1;

/** @param budgetMs - 1 or more */
export function createDeadlines(clock: Clock, budgetMs: number): Deadlines {
  // In order of their ends.
  const waiting = new Set<Waiting>();
  let timer: Timer | null = null;

  /** Looks again shortly before the first end after `passedUs`. */
  function arm(passedUs: number): void {
    timer = null;
    for (const { dueUs } of waiting) {
      if (dueUs <= passedUs) continue;
      timer = clock.after(Math.max(0, (dueUs - clock.nowUs()) / 1000 - LAST_LOOK_MS), lookAgain);
      return;
    }
  }
  function lookAgain(): void {
    const untilUs = clock.nowUs() + LAST_LOOK_MS * 1000;
    clock.after(LAST_LOOK_MS, () => expire(untilUs));
    arm(untilUs);
  }
  function expire(untilUs: number): void {
    for (const one of waiting) {
      if (one.dueUs > untilUs) return;
      waiting.delete(one);
      one.expire();
    }
  }

  return {
    within: (work, late) =>
      new Promise((resolve) => {
        const one = { dueUs: clock.nowUs() + budgetMs * 1000, expire: () => resolve(null) };
        waiting.add(one);
        if (timer === null) arm(0);
        void work.then((value) => {
          if (waiting.delete(one)) resolve(value);
          else late(value);
          if (waiting.size > 0) return;
          timer?.cancel();
          timer = null;
        });
      }),
  };
}
