import type { AnswerEvent, BlockDelta, BlockStart, RefusalDetails, StopReason, TokenUsage } from '#contracts/answer';
import { invariant } from '#core/kernel';

/** A complete answer, not as events but at once: what whole bodies are written from and read into. */
export interface WholeAnswer {
  readonly id: string;
  /** The model's name as the engine gave it. */
  readonly model: string;
  readonly blocks: readonly WholeBlock[];
  readonly usage: TokenUsage;
  readonly stop: WholeStop;
}

export type WholeBlock =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'thinking'; readonly text: string; readonly signature: string }
  | { readonly kind: 'redacted_thinking'; readonly data: string }
  /** `arguments` is the JSON text of an object; empty when the engine sent none. */
  | { readonly kind: 'tool_call'; readonly id: string; readonly name: string; readonly arguments: string }
  | { readonly kind: 'refusal'; readonly text: string };

export interface WholeStop {
  readonly reason: StopReason;
  readonly stopSequence?: string;
  readonly refusal?: RefusalDetails;
}

/**
 * Joins a complete event sequence. Throws when the sequence has no start or no stop, or holds an error: a whole answer is never
 * made of half a stream.
 */
export function collectAnswer(events: readonly AnswerEvent[]): WholeAnswer {
  let start: Extract<AnswerEvent, { kind: 'start' }> | null = null;
  let stop: WholeStop | null = null;
  let usage: TokenUsage = {};
  const blocks: WholeBlock[] = [];
  let open: OpenBlock | null = null;
  for (const event of events) {
    if (event.kind === 'start') start = event;
    if (event.kind === 'start' || event.kind === 'usage') usage = { ...usage, ...event.usage };
    else if (event.kind === 'block_start') open = { start: event.block, pieces: [], signatures: [] };
    else if (event.kind === 'delta') addDelta(open, event.delta);
    else if (event.kind === 'block_end' && open !== null) blocks.push(closeBlock(open));
    else if (event.kind === 'stop') {
      const { kind: _, ...rest } = event;
      stop = rest;
    }
    invariant(event.kind !== 'error', 'a whole answer cannot be made of a failed one');
  }
  invariant(start !== null && stop !== null, 'a whole answer needs a start and a stop');
  return { id: start.id, model: start.model, blocks, usage, stop };
}

interface OpenBlock {
  readonly start: BlockStart;
  readonly pieces: string[];
  readonly signatures: string[];
}

function addDelta(open: OpenBlock | null, delta: BlockDelta): void {
  if (delta.kind === 'signature') open?.signatures.push(delta.signature);
  else open?.pieces.push(delta.kind === 'arguments' ? delta.json : delta.text);
}

function closeBlock({ start, pieces, signatures }: OpenBlock): WholeBlock {
  const text = pieces.join('');
  if (start.kind === 'tool_call') return { ...start, arguments: text };
  if (start.kind === 'thinking') return { kind: 'thinking', text, signature: signatures.join('') };
  return start.kind === 'redacted_thinking' ? start : { kind: start.kind, text };
}

/** The event sequence that a whole answer stands for: one delta a block, usage before the stop. */
export function answerEvents({ id, model, blocks, usage, stop }: WholeAnswer): readonly AnswerEvent[] {
  return [
    { kind: 'start', id, model, usage: {} },
    ...blocks.flatMap(blockEvents),
    ...(Object.keys(usage).length === 0 ? [] : [{ kind: 'usage' as const, usage }]),
    { kind: 'stop', ...stop },
    { kind: 'end' },
  ];
}

function blockEvents(block: WholeBlock, index: number): readonly AnswerEvent[] {
  return [
    { kind: 'block_start', index, block: startOf(block) },
    ...deltasOf(block).map((delta) => ({ kind: 'delta' as const, index, delta })),
    { kind: 'block_end', index },
  ];
}

function startOf(block: WholeBlock): BlockStart {
  if (block.kind === 'tool_call') return { kind: 'tool_call', id: block.id, name: block.name };
  return block.kind === 'redacted_thinking' ? block : { kind: block.kind };
}

function deltasOf(block: WholeBlock): readonly BlockDelta[] {
  switch (block.kind) {
    case 'text':
    case 'refusal':
      return block.text === '' ? [] : [{ kind: block.kind, text: block.text }];
    case 'thinking':
      return [
        ...(block.text === '' ? [] : [{ kind: 'thinking' as const, text: block.text }]),
        ...(block.signature === '' ? [] : [{ kind: 'signature' as const, signature: block.signature }]),
      ];
    case 'tool_call':
      return block.arguments === '' ? [] : [{ kind: 'arguments', json: block.arguments }];
    default:
      return [];
  }
}
