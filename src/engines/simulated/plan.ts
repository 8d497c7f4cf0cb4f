import type { AnswerEvent, BlockDelta, BlockStart, RefusalDetails, StopReason } from '#contracts/answer';
import type { Prompt, Tool } from '#contracts/prompt';
import { createDraw, type Draw, drawAnswerTokens, exampleOf, pick, simulatedProse, simulatedThought } from '#core/simulation';
import type { Effect } from './script.ts';
import { cutText, encodeText, encodeThinking, encodeToolCall } from './tokens.ts';

/** Everything an answer will say, decided before its first token: only when it is said depends on the engine's load. */
export interface AnswerPlan {
  readonly blocks: readonly PlannedBlock[];
  /** The tokens as they will stand in the cache, four bytes each. */
  readonly bytes: Buffer;
  /** 1 or more. */
  readonly tokens: number;
  readonly thinkingTokens: number;
  readonly stop: PlannedStop;
}

interface PlannedStop {
  readonly reason: StopReason;
  readonly stopSequence?: string;
  readonly refusal?: RefusalDetails;
}

interface PlannedBlock {
  readonly start: BlockStart;
  /** What each token of the block says; an empty piece is a token that is not shown. */
  readonly pieces: readonly string[];
}

export interface PlanRules {
  readonly seed: number;
  /** Most tokens of the answer, 1 or more. */
  readonly tokensMax: number;
  /** Why the answer stops when it reaches them. */
  readonly stopAtMax: 'max_tokens' | 'context_window';
  /** Of an answer that nothing else decides the length of. */
  readonly medianTokens: number;
}

type EffectOf<K extends Effect['kind']> = Extract<Effect, { readonly kind: K }>;

/** The first effect of a kind. */
export function effectOf<K extends Effect['kind']>(effects: readonly Effect[], kind: K): EffectOf<K> | undefined {
  return effects.find((effect): effect is EffectOf<K> => effect.kind === kind);
}

/** Decides an answer. Deterministic: the same prompt, effects and rules give the same plan. */
export function planAnswer(prompt: Prompt, effects: readonly Effect[], rules: PlanRules): AnswerPlan {
  const draw = createDraw(rules.seed);
  const drafts = [...draftThinking(prompt, effects, draw), ...draftMain(prompt, effects, draw, rules)];
  const isRefusal = effectOf(effects, 'refuse')?.as === 'stop';
  const isToolUse = drafts.some(({ start }) => start.kind === 'tool_call');
  let stop: PlannedStop = { reason: isToolUse ? 'tool_use' : 'end_turn' };
  if (isRefusal) stop = { reason: 'refusal', refusal: refusalOf(effects) };
  const blocks: PlannedBlock[] = [];
  const encoded: Buffer[] = [];
  let left = rules.tokensMax;
  for (const draft of drafts) {
    const cut = draft.start.kind === 'text' ? atStopSequence(draft, prompt.stopSequences) : draft;
    const pieces = piecesOf(cut);
    if (left === 0 || pieces.length > left) stop = { reason: rules.stopAtMax };
    else if (cut.stopSequence !== undefined) stop = { reason: 'stop_sequence', stopSequence: cut.stopSequence };
    if (left === 0) break;
    blocks.push({ start: draft.start, pieces: pieces.slice(0, left) });
    encoded.push(encodeDraft(cut));
    left -= Math.min(left, pieces.length);
    if (stop.reason === rules.stopAtMax || stop.reason === 'stop_sequence') break;
  }
  const tokens = rules.tokensMax - left;
  const thinkingTokens = blocks.reduce((sum, { start, pieces }) => sum + (start.kind === 'thinking' ? pieces.length : 0), 0);
  return { blocks, bytes: Buffer.concat(encoded).subarray(0, tokens * 4), tokens, thinkingTokens, stop };
}

/** The events of each token of a plan, in turn. */
export function* tokenEvents(plan: AnswerPlan): Generator<readonly AnswerEvent[], void> {
  for (const [index, { start, pieces }] of plan.blocks.entries())
    for (const [at, piece] of pieces.entries()) {
      const events: AnswerEvent[] = [];
      if (at === 0) events.push({ kind: 'block_start', index, block: start });
      if (piece !== '') events.push({ kind: 'delta', index, delta: deltaOf(start, piece) });
      if (at === pieces.length - 1) {
        // Signed by nobody: enough for clients that hand it back, and plainly not a vendor's.
        if (start.kind === 'thinking')
          events.push({ kind: 'delta', index, delta: { kind: 'signature', signature: 'c2ltdWxhdGVk' } });
        events.push({ kind: 'block_end', index });
      }
      yield events;
    }
}

/** A block before the limits on length cut it. */
interface Draft {
  readonly start: BlockStart;
  readonly text: string;
  /** What is shown of `text`, when not all: the stop sequence at its end is generated, not shown. */
  readonly shownLength?: number;
  readonly stopSequence?: string;
}

function draftThinking(prompt: Prompt, effects: readonly Effect[], draw: Draw): readonly Draft[] {
  const scripted = effectOf(effects, 'think')?.tokens;
  const asked = prompt.thinking?.kind === 'enabled' ? Math.min(32, prompt.thinking.budgetTokens) : undefined;
  const tokens = scripted ?? asked;
  if (tokens === undefined) return [];
  // One token is the mark that begins the block.
  const characters = Math.max(1, tokens - 1) * 4;
  return [{ start: { kind: 'thinking' }, text: simulatedThought(draw, characters).slice(0, characters) }];
}

function draftMain(prompt: Prompt, effects: readonly Effect[], draw: Draw, rules: PlanRules): readonly Draft[] {
  const refuse = effectOf(effects, 'refuse');
  if (refuse !== undefined)
    return [
      { start: { kind: 'text' }, text: `This is a simulated refusal${refuse.category === null ? '' : ` (${refuse.category})`}.` },
    ];
  const calls = effects.filter((effect) => effect.kind === 'call_tool');
  if (calls.length > 0)
    return calls.map((call) => draftCall(call.name, call.arguments ?? argumentsFor(prompt.tools, call.name, draw), draw));
  const scripted = effectOf(effects, 'answer');
  if (scripted?.text !== undefined) return [{ start: { kind: 'text' }, text: scripted.text }];
  const tool = chosenTool(prompt, draw);
  if (tool !== undefined) return [draftCall(tool.name, exampleOf(tool.schema, draw), draw)];
  if (prompt.outputFormat?.kind === 'json_schema')
    return [{ start: { kind: 'text' }, text: JSON.stringify(exampleOf(prompt.outputFormat.schema, draw)) }];
  const characters = (scripted?.tokens ?? drawAnswerTokens(draw, rules.medianTokens)) * 4;
  const isJson = prompt.outputFormat?.kind === 'json_object';
  const prose = simulatedProse(draw, isJson ? 0 : characters);
  if (isJson) return [{ start: { kind: 'text' }, text: JSON.stringify({ simulated: true, text: prose }) }];
  // A length that was asked for is kept to the token; one that was drawn ends with its sentence.
  return [{ start: { kind: 'text' }, text: scripted?.tokens === undefined ? prose : prose.slice(0, characters) }];
}

function chosenTool(prompt: Prompt, draw: Draw): Tool | undefined {
  const choice = prompt.toolChoice;
  if (choice?.kind === 'tool') return prompt.tools.find(({ name }) => name === choice.name);
  const [first, ...rest] = prompt.tools;
  return choice?.kind === 'any' && first !== undefined ? pick(draw, [first, ...rest]) : undefined;
}

function argumentsFor(tools: readonly Tool[], name: string, draw: Draw): unknown {
  return exampleOf(tools.find((tool) => tool.name === name)?.schema ?? {}, draw);
}

function draftCall(name: string, args: unknown, draw: Draw): Draft {
  const id = Array.from({ length: 24 }, () => Math.floor(draw() * 16).toString(16)).join('');
  return { start: { kind: 'tool_call', id: `toolu_${id}`, name }, text: JSON.stringify(args) };
}

function refusalOf(effects: readonly Effect[]): RefusalDetails {
  const refuse = effectOf(effects, 'refuse');
  return { category: refuse?.category ?? null, explanation: refuse?.explanation ?? null };
}

/** Ends a text with the stop sequence that is complete first; of two complete at the same place, with the one that began first. */
function atStopSequence(draft: Draft, sequences: readonly string[]): Draft {
  const found = sequences
    .map((sequence) => ({ sequence, from: sequence === '' ? -1 : draft.text.indexOf(sequence) }))
    .filter(({ from }) => from >= 0)
    .map((one) => ({ ...one, to: one.from + one.sequence.length }))
    .toSorted((a, b) => a.to - b.to || a.from - b.from)[0];
  if (found === undefined) return draft;
  return { ...draft, text: draft.text.slice(0, found.to), shownLength: found.from, stopSequence: found.sequence };
}

/** One piece a token. Marks and names are tokens that show nothing. */
function piecesOf(draft: Draft): readonly string[] {
  const { start, text, shownLength = text.length } = draft;
  let shown = 0;
  const pieces = cutText(text).map((piece) => {
    const visible = piece.slice(0, Math.max(0, shownLength - shown));
    shown += piece.length;
    return visible;
  });
  if (start.kind === 'tool_call') return ['', ...cutText(start.name).map(() => ''), ...pieces];
  return start.kind === 'thinking' ? ['', ...pieces] : pieces;
}

function encodeDraft({ start, text }: Draft): Buffer {
  if (start.kind === 'tool_call') return encodeToolCall(start.name, text);
  return start.kind === 'thinking' ? encodeThinking(text) : encodeText(text);
}

function deltaOf(start: BlockStart, piece: string): BlockDelta {
  if (start.kind === 'tool_call') return { kind: 'arguments', json: piece };
  return start.kind === 'thinking' ? { kind: 'thinking', text: piece } : { kind: 'text', text: piece };
}
