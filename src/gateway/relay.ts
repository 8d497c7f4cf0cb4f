import type { AnswerProgress } from '#dialects';

/**
 * An answer on its way from an engine's bytes to the client's: the same bytes, spliced, when the dialects match, and a
 * translation when they do not. Hands out whole events only, so that an event of ours can always follow.
 */
export interface Relay {
  /** Takes the engine's next bytes and returns the client's. */
  push(chunk: Buffer): readonly Uint8Array[];
  /** The engine's bytes have ended; returns what is still owed to the client. */
  end(): readonly Uint8Array[];
  readonly progress: AnswerProgress;
}
