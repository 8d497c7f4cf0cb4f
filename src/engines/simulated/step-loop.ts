import type { Clock, Timer } from '#contracts/clock';
import type { JobProgress, Scheduler } from '#core/simulation';

/** Most steps that one late timer makes up for: enough for a pause of half a second, and never a stall of the process. */
const CATCH_UP_STEPS = 64;

/** Runs a scheduler on a clock: steps one after the other while there is work. */
export interface StepLoop {
  /** There may be work: begins a step unless one is under way. */
  wake(): void;
  close(): void;
}

/**
 * Steps end at the moment the profile says, not when a timer happens to fire: a late timer (they are whole milliseconds on a real
 * clock) ends every step due by then, so rates stay true and what was due together is delivered together.
 */
export function createStepLoop(
  clock: Clock,
  scheduler: Scheduler,
  onProgress: (progress: readonly JobProgress[]) => void,
): StepLoop {
  let timer: Timer | null = null;
  let dueUs = 0;
  let isClosed = false;
  let isStepping = false;

  const begin = (fromUs: number): boolean => {
    const durationUs = scheduler.begin();
    if (durationUs === null) return false;
    dueUs = fromUs + durationUs;
    return true;
  };
  const wait = (): void => {
    timer = clock.after(Math.max(0, (dueUs - clock.nowUs()) / 1000), onTimer);
  };
  const onTimer = (): void => {
    timer = null;
    const nowUs = clock.nowUs();
    let isBusy = true;
    isStepping = true;
    for (let steps = 0; isBusy && dueUs <= nowUs; steps += 1) {
      onProgress(scheduler.finish());
      // After a longer pause (a suspended machine) the engine does not race to catch up.
      isBusy = !isClosed && begin(steps < CATCH_UP_STEPS ? dueUs : nowUs);
    }
    isStepping = false;
    if (isBusy && !isClosed) wait();
  };
  return {
    wake() {
      if (timer !== null || isStepping || isClosed) return;
      if (begin(clock.nowUs())) wait();
    },
    close() {
      isClosed = true;
      timer?.cancel();
      timer = null;
    },
  };
}
