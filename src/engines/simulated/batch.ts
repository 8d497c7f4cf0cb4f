import type { Clock, Timer } from '#contracts/clock';
import { createScheduler, type EngineProfile, type Job, type JobProgress, type SchedulerCounts } from '#core/simulation';
import { createStepLoop } from './step-loop.ts';

/** The sequences that an engine works on together, on a clock. */
export interface Batch {
  /** @param slowFactor - how many times later than computed its tokens are handed over, 1 or more */
  start(job: Omit<Job, 'id'>, slowFactor: number): Sequence;
  clearCache(): void;
  counts(): BatchCounts;
  /** Stops the clockwork and ends every sequence. */
  close(): void;
}

export interface BatchCounts {
  /** Sequences being worked on now. */
  readonly open: number;
  /** Tokens generated for sequences after `abandon`, since the start. */
  readonly abandonedTokens: number;
  /** From the last `abandon` to the end of its sequence, µs; null when there was none yet. */
  readonly lastAbandonUs: number | null;
  readonly scheduler: SchedulerCounts;
}

/** One answer in the making. */
export interface Sequence {
  /** Resolves when the token at `index` (from 0) is there, or to false when the sequence was ended first. */
  hasToken(index: number): Promise<boolean>;
  /** Resolves after so long (null: never by itself), or to false when the sequence was ended first. */
  hold(forMs: number | null): Promise<boolean>;
  /** Prompt tokens that were found computed; known with the first token. */
  cacheReadTokens(): number;
  /** Nobody wants the rest: what is generated from now on is counted as wasted. */
  abandon(): void;
  /** Stops the work at once and frees its memory; again does nothing. */
  end(): void;
}

interface Work {
  readonly startedUs: number;
  readonly slowFactor: number;
  readonly timers: Set<Timer>;
  delivered: number;
  cacheRead: number;
  abandonedUs: number | null;
  wake: (() => void) | null;
}

export function createBatch(clock: Clock, profile: EngineProfile): Batch {
  const scheduler = createScheduler(profile);
  const works = new Map<number, Work>();
  let started = 0;
  let abandonedTokens = 0;
  let lastAbandonUs: number | null = null;

  const onProgress = (progress: readonly JobProgress[]): void => {
    for (const { id, outputTokens, cacheReadTokens } of progress) {
      const work = works.get(id);
      if (work === undefined) continue;
      work.cacheRead = cacheReadTokens;
      if (work.abandonedUs !== null) abandonedTokens += 1;
      const laterUs = (clock.nowUs() - work.startedUs) * (work.slowFactor - 1);
      if (laterUs <= 0) deliver(work, outputTokens);
      else later(clock, work, laterUs / 1000, () => deliver(work, outputTokens));
    }
  };
  const loop = createStepLoop(clock, scheduler, onProgress);

  const end = (id: number): void => {
    const work = works.get(id);
    if (work === undefined) return;
    works.delete(id);
    scheduler.cancel(id);
    for (const timer of work.timers) timer.cancel();
    if (work.abandonedUs !== null) lastAbandonUs = clock.nowUs() - work.abandonedUs;
    work.wake?.();
  };
  return {
    start(job, slowFactor) {
      const id = (started += 1);
      const work: Work = {
        startedUs: clock.nowUs(),
        slowFactor,
        timers: new Set(),
        delivered: 0,
        cacheRead: 0,
        abandonedUs: null,
        wake: null,
      };
      works.set(id, work);
      scheduler.add({ ...job, id });
      loop.wake();
      return {
        async hasToken(index) {
          while (works.has(id) && work.delivered <= index) await woken(work);
          return works.has(id);
        },
        async hold(forMs) {
          let isOver = false;
          if (forMs !== null)
            later(clock, work, forMs, () => {
              isOver = true;
              work.wake?.();
            });
          while (works.has(id) && !isOver) await woken(work);
          return works.has(id);
        },
        cacheReadTokens: () => work.cacheRead,
        abandon() {
          if (works.has(id)) work.abandonedUs ??= clock.nowUs();
        },
        end: () => end(id),
      };
    },
    clearCache: () => scheduler.clearCache(),
    counts: () => ({ open: works.size, abandonedTokens, lastAbandonUs, scheduler: scheduler.counts() }),
    close() {
      loop.close();
      for (const id of works.keys()) end(id);
    },
  };
}

function deliver(work: Work, tokens: number): void {
  work.delivered = Math.max(work.delivered, tokens);
  work.wake?.();
}

function later(clock: Clock, work: Work, delayMs: number, task: () => void): void {
  const timer = clock.after(delayMs, () => {
    work.timers.delete(timer);
    task();
  });
  work.timers.add(timer);
}

function woken(work: Work): Promise<void> {
  return new Promise((resolve) => {
    work.wake = resolve;
  });
}
