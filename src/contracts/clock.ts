/** Time as the shell sees it. Real ones are made in `runtime/`; tests and the simulator bring virtual ones. */
export interface Clock {
  /** Monotonic integer microseconds since an arbitrary start: for durations, never for people. */
  nowUs(): number;
  /** Wall time, integer ms since 1970: for people and for state shared between machines; may step either way. */
  wallMs(): number;
  /** Runs `task` once after `delayMs` (monotonic). The timer never keeps the process alive by itself. */
  after(delayMs: number, task: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

/** Chance as the shell sees it. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** `count` unpredictable bytes, as lower-case hex. */
  hex(count: number): string;
}
