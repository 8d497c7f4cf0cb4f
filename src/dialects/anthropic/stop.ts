import type { StopReason } from '#contracts/answer';
import type { Json, JsonObject } from '#contracts/prompt';
import { isObject, lookUp, present } from '../json.ts';
import type { WholeStop } from '../whole-answer.ts';

const REASONS: Readonly<Record<string, StopReason>> = {
  end_turn: 'end_turn',
  max_tokens: 'max_tokens',
  stop_sequence: 'stop_sequence',
  tool_use: 'tool_use',
  pause_turn: 'pause_turn',
  refusal: 'refusal',
  model_context_window_exceeded: 'context_window',
};

/** The stop fields of a message or a `message_delta`; undefined when the reason is not one that we know. */
export function readStop(fields: JsonObject): WholeStop | undefined {
  const reason = typeof fields.stop_reason === 'string' ? lookUp(REASONS, fields.stop_reason) : undefined;
  if (reason === undefined) return undefined;
  const details = fields.stop_details;
  return present({
    reason,
    stopSequence: typeof fields.stop_sequence === 'string' ? fields.stop_sequence : undefined,
    refusal: isObject(details)
      ? { category: textOrNull(details.category), explanation: textOrNull(details.explanation) }
      : undefined,
  });
}

/** The stop fields of a message or a `message_delta`. */
export function writeStop({ reason, stopSequence, refusal }: WholeStop): JsonObject {
  return {
    stop_reason: reason === 'context_window' ? 'model_context_window_exceeded' : reason,
    stop_sequence: stopSequence ?? null,
    stop_details: refusal === undefined ? null : { type: 'refusal', ...refusal },
  };
}

function textOrNull(value: Json | undefined): string | null {
  return typeof value === 'string' ? value : null;
}
