import type { StopReason } from '#contracts/answer';
import type { JsonObject } from '#contracts/prompt';
import { unreachable } from '#core/kernel';
import type { WholeStop } from '../whole-answer.ts';

/** What was in the answer that a finish reason ended. */
export interface Answered {
  readonly hasCalls: boolean;
  readonly hasRefusal: boolean;
}

/**
 * A choice's finish reason; undefined when it is not one that we know. `stop` is also said after calls (a forced function) and
 * after a refusal in words, so what the answer holds decides. vLLM adds which stop sequence it was.
 */
export function readStop(choice: JsonObject, { hasCalls, hasRefusal }: Answered): WholeStop | undefined {
  switch (choice.finish_reason) {
    case 'stop':
      if (hasRefusal) return { reason: 'refusal' };
      if (hasCalls) return { reason: 'tool_use' };
      return typeof choice.stop_reason === 'string'
        ? { reason: 'stop_sequence', stopSequence: choice.stop_reason }
        : { reason: 'end_turn' };
    case 'length':
      return { reason: 'max_tokens' };
    case 'tool_calls':
      return { reason: 'tool_use' };
    case 'content_filter':
      return { reason: 'refusal' };
    default:
      return undefined;
  }
}

/**
 * The finish reason for a stop. Reasons without an equal take the nearest that is true: a turn that is to be continued, or that
 * filled the context, ended by length, never by a clean stop.
 */
export function writeFinishReason(reason: StopReason, { hasRefusal }: Answered): string {
  switch (reason) {
    case 'end_turn':
    case 'stop_sequence':
      return 'stop';
    case 'max_tokens':
    case 'context_window':
    case 'pause_turn':
      return 'length';
    case 'tool_use':
      return 'tool_calls';
    case 'refusal':
      // A refusal in words is a whole answer; without words something was held back.
      return hasRefusal ? 'stop' : 'content_filter';
    default:
      return unreachable(reason);
  }
}
