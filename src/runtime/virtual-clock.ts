import type { Clock } from '#contracts/clock';
import { invariant } from '#core/kernel';

/** A clock that moves only when told, for tests and for the simulator. */
export interface VirtualClock extends Clock {
  /**
   * Moves time forward by `byMs` (a fraction of a millisecond counts, to the microsecond), running what falls due in order of its
   * time, and lets promises settle after each, so that what they schedule inside the span still runs inside it.
   */
  advance(byMs: number): Promise<void>;
  /** Jumps to the next timer and runs everything due at that moment; false when there is none. */
  runNext(): Promise<boolean>;
  /** Steps the wall clock either way, as an operator or NTP would; monotonic time does not notice. */
  stepWall(byMs: number): void;
  /** Timers that have neither run nor been cancelled. */
  pending(): number;
}

interface Entry {
  readonly atUs: number;
  readonly order: number;
  readonly task: () => void;
  isLive: boolean;
}

export function createVirtualClock(start: { readonly wallMs?: number } = {}): VirtualClock {
  const heap: Entry[] = [];
  let nowUs = 0;
  let wallOffsetMs = start.wallMs ?? Date.UTC(2026, 0, 1);
  let order = 0;
  let live = 0;

  const next = (): Entry | undefined => {
    while (heap[0]?.isLive === false) pop(heap);
    return heap[0];
  };
  const runDue = async (): Promise<void> => {
    for (let entry = next(); entry !== undefined && entry.atUs <= nowUs; entry = next()) {
      pop(heap);
      entry.isLive = false;
      live -= 1;
      entry.task();
      await settled();
    }
  };
  const clock: VirtualClock = {
    nowUs: () => nowUs,
    wallMs: () => wallOffsetMs + Math.floor(nowUs / 1000),
    after(delayMs, task) {
      invariant(!Number.isNaN(delayMs), 'a timer needs a number of milliseconds');
      const entry: Entry = { atUs: nowUs + Math.max(0, Math.round(delayMs * 1000)), order: (order += 1), task, isLive: true };
      push(heap, entry);
      live += 1;
      return {
        cancel() {
          if (entry.isLive) live -= 1;
          entry.isLive = false;
        },
      };
    },
    async advance(byMs) {
      const untilUs = nowUs + Math.round(byMs * 1000);
      await settled();
      for (let entry = next(); entry !== undefined && entry.atUs <= untilUs; entry = next()) {
        nowUs = Math.max(nowUs, entry.atUs);
        await runDue();
      }
      nowUs = Math.max(nowUs, untilUs);
    },
    async runNext() {
      await settled();
      const entry = next();
      if (entry === undefined) return false;
      nowUs = Math.max(nowUs, entry.atUs);
      await runDue();
      return true;
    },
    stepWall(byMs) {
      wallOffsetMs += byMs;
    },
    pending: () => live,
  };
  return clock;
}

/** Two turns of the event loop: one lets every chain of promises run out, the second what those put off by one turn. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 2; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atUs < b.atUs || (a.atUs === b.atUs && a.order < b.order);
}

function push(heap: Entry[], entry: Entry): void {
  let at = heap.length;
  heap.push(entry);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent];
    if (above === undefined || isBefore(above, entry)) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = entry;
}

function pop(heap: Entry[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let at = 0;
  for (;;) {
    const left = heap[2 * at + 1];
    const right = heap[2 * at + 2];
    const child = right !== undefined && left !== undefined && isBefore(right, left) ? 2 * at + 2 : 2 * at + 1;
    const below = heap[child];
    if (below === undefined || isBefore(last, below)) break;
    heap[at] = below;
    at = child;
  }
  heap[at] = last;
}
