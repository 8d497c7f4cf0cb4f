import type { AnswerError, AnswerEvent, BlockDelta, BlockStart } from '#contracts/answer';
import type { Json, JsonObject } from '#contracts/prompt';
import { brokenStream, cutStream } from '../broken-stream.ts';
import type { EventReader } from '../codec.ts';
import { anthropicErrorStatus } from '../error-types.ts';
import { shown } from '../fields.ts';
import { isObject, parseJson, textOf } from '../json.ts';
import { readStop } from './stop.ts';
import { readUsage } from './usage.ts';

/**
 * Reads the events of a Messages stream. States: `before` (nothing yet) → `open` (after message_start) → `stopped` (a stop reason
 * was given) → `done` (message_stop, or an error: nothing follows). What breaks the order, and content of a kind we do not know,
 * ends the answer in an error: to leave it out would make an answer that the model did not give. Unknown events are passed over,
 * as the API's versioning policy asks.
 */
export function createEventReader(): EventReader {
  let state: 'before' | 'open' | 'stopped' | 'done' = 'before';
  /** How many blocks have begun; our index of the open one is one less. */
  let blocks = 0;
  /** The engine's index of the open block, and whether one is open. */
  let open: { readonly index: Json | undefined; readonly kind: BlockStart['kind'] } | null = null;

  const fail = (error: AnswerError): readonly AnswerEvent[] => {
    state = 'done';
    return [{ kind: 'error', error }];
  };

  const closeBlock = (): readonly AnswerEvent[] => {
    if (open === null) return [];
    open = null;
    return [{ kind: 'block_end', index: blocks - 1 }];
  };

  const startBlock = (event: JsonObject): readonly AnswerEvent[] => {
    const content = isObject(event.content_block) ? event.content_block : {};
    const started = readBlockStart(content);
    if (started === null)
      return fail(brokenStream(`it sent a content block of type "${shown(textOf(content.type))}", which cannot be translated`));
    const closed = closeBlock();
    open = { index: event.index, kind: started.block.kind };
    const index = blocks;
    blocks += 1;
    return [
      ...closed,
      { kind: 'block_start', index, block: started.block },
      ...started.deltas.map((delta) => ({ kind: 'delta' as const, index, delta })),
    ];
  };

  const readDelta = (event: JsonObject): readonly AnswerEvent[] => {
    const content = isObject(event.delta) ? event.delta : {};
    if (open === null || open.index !== event.index) return fail(brokenStream('it sent a delta outside its content block'));
    const delta = readBlockDelta(content);
    if (delta === null || !fits(open.kind, delta.kind))
      return fail(brokenStream(`it sent a delta of type "${shown(textOf(content.type))}", which cannot be translated`));
    return [{ kind: 'delta', index: blocks - 1, delta }];
  };

  const readMessageDelta = (event: JsonObject): readonly AnswerEvent[] => {
    const usage = readUsage(event.usage);
    const usageEvents: readonly AnswerEvent[] = Object.keys(usage).length === 0 ? [] : [{ kind: 'usage', usage }];
    const delta = isObject(event.delta) ? event.delta : {};
    if (state === 'stopped' || typeof delta.stop_reason !== 'string') return usageEvents;
    const stop = readStop(delta);
    if (stop === undefined)
      return fail(brokenStream(`it stopped for a reason, "${shown(delta.stop_reason)}", that is not known here`));
    const closed = closeBlock();
    state = 'stopped';
    return [...closed, ...usageEvents, { kind: 'stop', ...stop }];
  };

  const readEvent = (type: string, event: JsonObject): readonly AnswerEvent[] => {
    if (type === 'error') return fail(readErrorEvent(event));
    if (state === 'before') {
      if (type === 'ping') return [];
      if (type !== 'message_start' || !isObject(event.message))
        return KNOWN_EVENTS.has(type) ? fail(brokenStream('it did not begin with message_start')) : [];
      state = 'open';
      return [
        {
          kind: 'start',
          id: textOf(event.message.id),
          model: textOf(event.message.model),
          usage: readUsage(event.message.usage),
        },
      ];
    }
    switch (type) {
      case 'ping':
        return [{ kind: 'ping' }];
      case 'message_start':
        return fail(brokenStream('it began a second message'));
      case 'content_block_start':
      case 'content_block_delta':
        if (state !== 'open') return fail(brokenStream('it sent content after its stop reason'));
        return type === 'content_block_start' ? startBlock(event) : readDelta(event);
      case 'content_block_stop':
        return closeBlock();
      case 'message_delta':
        return readMessageDelta(event);
      case 'message_stop':
        if (state !== 'stopped') return fail(cutStream());
        state = 'done';
        return [{ kind: 'end' }];
      default:
        return [];
    }
  };

  return {
    read(name, data) {
      if (state === 'done') return [];
      const event = parseJson(data);
      if (!isObject(event)) return fail(brokenStream('it sent an event that is not a JSON object'));
      return readEvent(typeof event.type === 'string' ? event.type : name, event);
    },
    end: () => (state === 'done' ? [] : fail(cutStream())),
  };
}

/** What may not come before message_start. Other events are passed over wherever they stand. */
const KNOWN_EVENTS: ReadonlySet<string> = new Set([
  'message_start',
  'content_block_start',
  'content_block_delta',
  'content_block_stop',
  'message_delta',
  'message_stop',
]);

/** The start of a block and the content it already held, if any. */
function readBlockStart(content: JsonObject): { readonly block: BlockStart; readonly deltas: readonly BlockDelta[] } | null {
  switch (content.type) {
    case 'text':
      return { block: { kind: 'text' }, deltas: notEmpty({ kind: 'text', text: textOf(content.text) }) };
    case 'thinking':
      return {
        block: { kind: 'thinking' },
        deltas: [
          ...notEmpty({ kind: 'thinking', text: textOf(content.thinking) }),
          ...notEmpty({ kind: 'signature', signature: textOf(content.signature) }),
        ],
      };
    case 'redacted_thinking':
      return { block: { kind: 'redacted_thinking', data: textOf(content.data) }, deltas: [] };
    case 'tool_use': {
      const isEmpty = !isObject(content.input) || Object.keys(content.input).length === 0;
      return {
        block: { kind: 'tool_call', id: textOf(content.id), name: textOf(content.name) },
        deltas: isEmpty ? [] : [{ kind: 'arguments', json: JSON.stringify(content.input) }],
      };
    }
    default:
      return null;
  }
}

function readBlockDelta(delta: JsonObject): BlockDelta | null {
  switch (delta.type) {
    case 'text_delta':
      return { kind: 'text', text: textOf(delta.text) };
    case 'thinking_delta':
      return { kind: 'thinking', text: textOf(delta.thinking) };
    case 'signature_delta':
      return { kind: 'signature', signature: textOf(delta.signature) };
    case 'input_json_delta':
      return { kind: 'arguments', json: textOf(delta.partial_json) };
    default:
      return null;
  }
}

function notEmpty(delta: BlockDelta): readonly BlockDelta[] {
  const isEmpty =
    delta.kind === 'signature' ? delta.signature === '' : delta.kind === 'arguments' ? delta.json === '' : delta.text === '';
  return isEmpty ? [] : [delta];
}

/** May a block of this kind hold a delta of that kind? */
function fits(block: BlockStart['kind'], delta: BlockDelta['kind']): boolean {
  if (block === 'tool_call') return delta === 'arguments';
  return delta === 'signature' ? block === 'thinking' : delta === block;
}

function readErrorEvent(event: JsonObject): AnswerError {
  const error = isObject(event.error) ? event.error : {};
  const type = textOf(error.type) || 'api_error';
  return { status: anthropicErrorStatus(type), type, message: textOf(error.message) };
}
