/** Virtual time: what shall happen when. */
export interface Timeline {
  at(atUs: number, task: (atUs: number) => void): void;
  /** Carries out all tasks up to a time, in order, and those that they add. */
  runUntil(untilUs: number): void;
}

interface Entry {
  readonly atUs: number;
  /** Of equal times the one that was added first comes first. */
  readonly order: number;
  readonly task: (atUs: number) => void;
}

/** A binary heap. */
export function createTimeline(): Timeline {
  const heap: Entry[] = [];
  let added = 0;
  const isBefore = (a: number, b: number): boolean => {
    const [left, right] = [heap[a] as Entry, heap[b] as Entry];
    return left.atUs < right.atUs || (left.atUs === right.atUs && left.order < right.order);
  };
  const swap = (a: number, b: number): void => {
    [heap[a], heap[b]] = [heap[b] as Entry, heap[a] as Entry];
  };
  return {
    at(atUs, task) {
      heap.push({ atUs, order: added++, task });
      for (let child = heap.length - 1; child > 0;) {
        const parent = (child - 1) >> 1;
        if (!isBefore(child, parent)) break;
        swap(child, parent);
        child = parent;
      }
    },
    runUntil(untilUs) {
      for (let first = heap[0]; first !== undefined && first.atUs <= untilUs; first = heap[0]) {
        swap(0, heap.length - 1);
        heap.pop();
        for (let parent = 0; ;) {
          let least = parent;
          for (const child of [2 * parent + 1, 2 * parent + 2]) if (child < heap.length && isBefore(child, least)) least = child;
          if (least === parent) break;
          swap(parent, least);
          parent = least;
        }
        first.task(first.atUs);
      }
    },
  };
}
