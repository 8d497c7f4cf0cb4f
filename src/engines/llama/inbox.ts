/** What one producer has put in and one consumer has not yet taken, in order. The producer bounds it. */
export interface Inbox<T> {
  put(item: T): void;
  /** Nothing more comes. What is there can still be taken. */
  end(): void;
  /** Nothing more is wanted: what is there is dropped. */
  discard(): void;
  /** The next item; null at the end. */
  take(): Promise<T | null>;
}

export function createInbox<T>(): Inbox<T> {
  const items: T[] = [];
  let isEnded = false;
  let wake: (() => void) | null = null;

  function change(act: () => void): void {
    if (isEnded) return;
    act();
    wake?.();
    wake = null;
  }

  return {
    put: (item) => change(() => items.push(item)),
    end: () =>
      change(() => {
        isEnded = true;
      }),
    discard() {
      items.length = 0;
      change(() => {
        isEnded = true;
      });
    },
    async take() {
      while (items.length === 0 && !isEnded) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return items.shift() ?? null;
    },
  };
}
