import type { AnswerError } from '#contracts/answer';

/**
 * The error for an engine whose stream breaks its own dialect's rules.
 * @param what - what it did, as a clause that follows "The engine's stream was broken: "; no content
 */
export function brokenStream(what: string): AnswerError {
  return { status: 502, type: 'api_error', message: `The engine's stream was broken: ${what}.` };
}

/** The error for a stream that ended before its answer did. */
export function cutStream(): AnswerError {
  return brokenStream('it ended before the answer was complete');
}
