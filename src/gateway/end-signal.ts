/**
 * What ends a request before its time: the client left, a deadline passed, the gateway closes. An AbortSignal says the same at a
 * cost of a kilobyte and two microseconds a request (docs/performance.md); here one phase waits at a time, so one listener is
 * enough, and it is told in the same tick.
 */
export class EndSignal {
  /** Why the request has ended; null while it may go on. */
  reason: Error | null = null;
  #listener: ((reason: Error) => void) | null = null;

  /** Makes `listener` the one that is told; the caller looks at `reason` first. */
  listen(listener: (reason: Error) => void): void {
    this.#listener = listener;
  }

  /** The phase is over: nobody is told until the next one listens. */
  unlisten(): void {
    this.#listener = null;
  }

  /** Ends the request. The first reason stands. */
  end(reason: Error): void {
    if (this.reason !== null) return;
    this.reason = reason;
    const listener = this.#listener;
    this.#listener = null;
    listener?.(reason);
  }
}
