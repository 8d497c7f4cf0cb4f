import type { AnswerEvent } from '#contracts/answer';
import type { Refusal } from '#contracts/errors';
import type { Json, JsonObject, Prompt } from '#contracts/prompt';
import type { Dialect } from '#contracts/record';
import type { Result } from '#core/kernel';

/**
 * One dialect, to and from our words. Pure. A codec never drops a field in silence: what the other side cannot express is a
 * refusal (`unsupported_by_engine`) that names the field. `codec.conformance.ts` is the suite each implementation passes.
 */
export interface Codec {
  readonly dialect: Dialect;
  /** A parsed request body to our words. `invalid_request` names the path of what is wrong. */
  readRequest(body: Json): Result<Prompt, Refusal>;
  /** Our words to a request body; refuses what this dialect cannot say. */
  writeRequest(prompt: Prompt): Result<JsonObject, Refusal>;
  /** Server-sent events of this dialect to ours, one event at a time. */
  createEventReader(): EventReader;
  /** Our events to the text of this dialect's server-sent events. */
  createEventWriter(options: WriterOptions): EventWriter;
  /** A whole (not streamed) answer body to the event sequence that would have produced it. */
  readAnswer(body: Json): Result<readonly AnswerEvent[], Refusal>;
  /** A complete event sequence to a whole answer body. */
  writeAnswer(events: readonly AnswerEvent[], options: WriterOptions): JsonObject;
}

export interface EventReader {
  /**
   * @param name - the SSE `event:` field, empty when there was none
   * @param data - the SSE data, lines joined by \n
   * @returns the events it means: often one, sometimes none or several
   */
  read(name: string, data: string): readonly AnswerEvent[];
  /** The byte stream has ended; returns what was still owed (an `error` event if the answer was not complete). */
  end(): readonly AnswerEvent[];
}

export interface EventWriter {
  /** The wire text for one event: zero or more whole SSE frames. */
  write(event: AnswerEvent): string;
}

export interface WriterOptions {
  /** The model name the client asked for. */
  readonly model: string;
  /** OpenAI: write the final usage chunk. */
  readonly includeUsage: boolean;
  /** Seconds since 1970, for dialects that date their answers. */
  readonly createdAtS: number;
  /** Responses: echo of the request's own fields, as the API does; absent elsewhere. */
  readonly request?: Prompt;
}
