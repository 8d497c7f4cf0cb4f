import type { AnswerEvent, TokenUsage } from '#contracts/answer';
import type { JsonObject } from '#contracts/prompt';
import { unreachable } from '#core/kernel';
import type { EventWriter, WriterOptions } from '../codec.ts';
import { writeOpenaiError } from '../error-types.ts';
import { writeFinishReason } from './stop.ts';
import { writeUsage } from './usage.ts';

/**
 * Writes a Chat Completions stream: a role chunk, content, a finish reason, usage where the client asked for it, [DONE]. After an
 * error there is no [DONE]: to a client that would look like an end. Signatures and redacted thinking have no place here.
 */
export function createEventWriter(options: WriterOptions): EventWriter {
  let id = '';
  let usage: TokenUsage = {};
  let calls = 0;
  let hasArguments = true;
  let hasRefusal = false;

  const chunk = (fields: JsonObject): string =>
    frame({ id, object: 'chat.completion.chunk', created: options.createdAtS, model: options.model, ...fields });
  const choice = (delta: JsonObject, finishReason: string | null = null): string =>
    chunk({
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }],
      // With usage asked for, the API says null until it knows.
      ...(options.includeUsage ? { usage: null } : {}),
    });
  const callPiece = (json: string): string => choice({ tool_calls: [{ index: calls - 1, function: { arguments: json } }] });

  const writeStart = (event: Extract<AnswerEvent, { kind: 'block_start' }>): string => {
    const { block } = event;
    if (block.kind === 'refusal') hasRefusal = true;
    if (block.kind !== 'tool_call') return '';
    calls += 1;
    hasArguments = false;
    return choice({
      tool_calls: [{ index: calls - 1, id: block.id, type: 'function', function: { name: block.name, arguments: '' } }],
    });
  };

  const writeDelta = ({ delta }: Extract<AnswerEvent, { kind: 'delta' }>): string => {
    switch (delta.kind) {
      case 'text':
        return choice({ content: delta.text });
      case 'thinking':
        return choice({ reasoning_content: delta.text });
      case 'refusal':
        return choice({ refusal: delta.text });
      case 'arguments':
        hasArguments ||= delta.json !== '';
        return callPiece(delta.json);
      case 'signature':
        return '';
      default:
        return unreachable(delta);
    }
  };

  const writeStop = (event: Extract<AnswerEvent, { kind: 'stop' }>): string => {
    const finished = choice({}, writeFinishReason(event.reason, { hasCalls: calls > 0, hasRefusal }));
    const explanation = event.refusal?.explanation ?? '';
    // The one place where this dialect tells a client why: without it a refusal would be an empty answer.
    return event.reason === 'refusal' && !hasRefusal && explanation !== ''
      ? choice({ refusal: explanation }) + finished
      : finished;
  };

  return {
    write(event: AnswerEvent): string {
      switch (event.kind) {
        case 'start':
          id = event.id;
          usage = event.usage;
          return choice({ role: 'assistant', content: '', refusal: null });
        case 'block_start':
          return writeStart(event);
        case 'delta':
          return writeDelta(event);
        case 'block_end': {
          // A call without arguments: clients of this dialect parse the text, and "" is not JSON.
          const owed = hasArguments ? '' : callPiece('{}');
          hasArguments = true;
          return owed;
        }
        case 'usage':
          usage = { ...usage, ...event.usage };
          return '';
        case 'stop':
          return writeStop(event);
        case 'end':
          return `${options.includeUsage ? chunk({ choices: [], usage: writeUsage(usage) }) : ''}data: [DONE]\n\n`;
        case 'error':
          return frame(writeOpenaiError(event.error));
        case 'ping':
          return ': ping\n\n';
        default:
          return unreachable(event);
      }
    },
  };
}

function frame(data: JsonObject): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}
