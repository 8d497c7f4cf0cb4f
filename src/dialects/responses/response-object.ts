import type { JsonObject, Prompt } from '#contracts/prompt';
import type { WriterOptions } from '../codec.ts';
import { present } from '../json.ts';
import { outputItem, type AnswerState } from './answer-state.ts';
import { errorCode } from './error-codes.ts';
import { writeUsage } from './token-usage.ts';
import { writeSettings } from './write-request.ts';

type Ending = Pick<ReadonlyResponse, 'status' | 'incomplete_details' | 'error'>;
interface ReadonlyResponse {
  readonly status: 'in_progress' | 'completed' | 'incomplete' | 'failed';
  readonly incomplete_details: JsonObject | null;
  readonly error: JsonObject | null;
}

/** The response as `response.created` and `response.in_progress` say it: begun, and empty. */
export function begunResponse(state: AnswerState, options: WriterOptions): JsonObject {
  return response(state, options, { status: 'in_progress', incomplete_details: null, error: null }, []);
}

/** The response at its end, as a whole answer and as the last event of a stream. */
export function endedResponse(state: AnswerState, options: WriterOptions): JsonObject {
  const ending = endingOf(state);
  const last = state.blocks.length - 1;
  const output = state.blocks.map((block, index) =>
    outputItem(block, { isCut: block.isOpen || (index === last && ending.status === 'incomplete') }),
  );
  return response(state, options, ending, output);
}

function response(state: AnswerState, options: WriterOptions, ending: Ending, output: readonly JsonObject[]): JsonObject {
  return {
    id: state.responseId,
    object: 'response',
    created_at: options.createdAtS,
    background: false,
    ...ending,
    model: options.model,
    output,
    ...echo(options.request),
    previous_response_id: null,
    store: false,
    truncation: 'disabled',
    usage: ending.status === 'in_progress' ? null : writeUsage(state.usage),
    metadata: null,
  };
}

/** The request's settings, as the API repeats them; what the request left to the engine is null where the shape allows. */
function echo(request: Prompt | undefined): JsonObject {
  const defaults = {
    instructions: null,
    max_output_tokens: null,
    parallel_tool_calls: true,
    temperature: null,
    text: { format: { type: 'text' } },
    tool_choice: 'auto',
    tools: [],
    top_p: null,
  };
  if (request === undefined) return { ...defaults, reasoning: { effort: null, summary: null } };
  // The tier that served is not known here, and the one that was asked for must not pass for it.
  const { service_tier: _asked, ...settings } = writeSettings(request);
  return { ...defaults, ...settings, reasoning: echoReasoning(request) };
}

function echoReasoning({ thinking }: Prompt): JsonObject {
  const isShown = thinking?.kind === 'adaptive' && thinking.display === 'summarized';
  return { effort: thinking?.effort ?? (thinking?.kind === 'disabled' ? 'none' : null), summary: isShown ? 'auto' : null };
}

/**
 * How an answer ends in this dialect's words. An engine's own refusal that left no refusal text is a content filter; its
 * category and explanation, for which the API has no place, stand beside the reason.
 */
function endingOf({ stop, error, blocks }: AnswerState): Ending {
  if (error !== null) {
    const failure = { code: errorCode(error), message: error.message };
    return { status: 'failed', incomplete_details: null, error: failure };
  }
  const incomplete = (incomplete_details: JsonObject | null): Ending => ({
    status: 'incomplete',
    incomplete_details,
    error: null,
  });
  switch (stop?.reason) {
    case 'max_tokens':
    case 'context_window':
      return incomplete({ reason: 'max_output_tokens' });
    case 'pause_turn':
      return incomplete(null);
    case 'refusal': {
      const isSaid = blocks.some(({ start }) => start.kind === 'refusal');
      const hasCalls = blocks.some(({ start }) => start.kind === 'tool_call');
      if (isSaid && !hasCalls && stop.refusal === undefined) break;
      const refusal = stop.refusal && { category: stop.refusal.category, explanation: stop.refusal.explanation };
      return incomplete(present({ reason: 'content_filter', refusal }));
    }
    default:
      break;
  }
  return { status: 'completed', incomplete_details: null, error: null };
}
