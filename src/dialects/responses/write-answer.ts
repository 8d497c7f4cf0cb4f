import type { AnswerEvent } from '#contracts/answer';
import type { JsonObject } from '#contracts/prompt';
import type { WriterOptions } from '../codec.ts';
import { createAnswerState, foldEvent } from './answer-state.ts';
import { endedResponse } from './response-object.ts';

/** A complete event sequence as one Response object: the same that ends its stream. One that ends in an error is `failed`. */
export function writeAnswer(events: readonly AnswerEvent[], options: WriterOptions): JsonObject {
  const state = createAnswerState();
  for (const event of events) foldEvent(state, event);
  return endedResponse(state, options);
}
