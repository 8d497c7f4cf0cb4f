import fc from 'fast-check';
import type { AnswerEvent, RefusalDetails, StopReason, TokenUsage } from '#contracts/answer';
import type {
  CacheMark,
  DocumentPart,
  ImagePart,
  Json,
  JsonObject,
  OutputFormat,
  Part,
  Prompt,
  TextPart,
  Thinking,
  Tool,
  ToolCallPart,
  ToolResultPart,
  Turn,
} from '#contracts/prompt';
import { present } from './json.ts';
import { answerEvents, type WholeAnswer, type WholeBlock } from './whole-answer.ts';

/** What a dialect can say without loss: the laws of round trips hold for these, and the table in docs/dialects.md for the rest. */
export interface Sayable {
  readonly cacheMarks: boolean;
  /** Do the several texts of one turn stay several? */
  readonly thinkingInHistory: 'none' | 'plain' | 'signed';
  readonly refusalInHistory: boolean;
  readonly documents: readonly DocumentPart['source']['kind'][];
  /** Do documents keep their title and context? */
  readonly documentNotes: boolean;
  readonly imageDetail: boolean;
  readonly imagesInToolResults: boolean;
  readonly toolErrors: boolean;
  /** Parts of an assistant turn in any order; otherwise thinking, text, refusal, calls, at most one of each of the first three. */
  readonly anyOrder: boolean;
  readonly systemTurns: boolean;
  readonly capRequired: boolean;
  readonly topK: boolean;
  readonly penaltiesAndSeed: boolean;
  readonly parallelWithoutChoice: boolean;
  readonly parallelWithNone: boolean;
  readonly stopSequencesMax: number;
  readonly thinking: readonly Thinking[];
  readonly formats: readonly OutputFormat[];
  readonly serviceTiers: readonly string[];
  readonly includeUsage: boolean;
  readonly answer: SayableAnswer;
}

interface SayableAnswer {
  readonly anyOrder: boolean;
  readonly signatures: boolean;
  readonly redacted: boolean;
  readonly refusalBlocks: boolean;
  readonly stops: readonly StopReason[];
  readonly stopSequence: boolean;
  readonly refusalDetails: boolean;
  /** Usage fields that are read back as they were; those that are always written are always there. */
  readonly usage: { readonly required: readonly (keyof TokenUsage)[]; readonly optional: readonly (keyof TokenUsage)[] };
}

const word = fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' });
const id = fc.stringMatching(/^[a-zA-Z0-9_-]{1,16}$/);
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const jsonObject = fc
  .dictionary(fc.oneof(word, fc.constant('__proto__')), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 })
  .map((value) => JSON.parse(JSON.stringify(value)) as JsonObject);

function cacheMark(can: Sayable): fc.Arbitrary<CacheMark | undefined> {
  return can.cacheMarks ? optional(fc.constantFrom<CacheMark>({ ttl: '5m' }, { ttl: '1h' })) : fc.constant(undefined);
}

function textPart(can: Sayable): fc.Arbitrary<TextPart> {
  return fc.record({ text: word, cache: cacheMark(can) }).map((part) => present({ kind: 'text' as const, ...part }));
}

const base64 = fc.record({
  kind: fc.constant('base64' as const),
  mediaType: fc.constant('image/png'),
  data: fc.base64String({ maxLength: 8 }),
});
const url = fc.record({ kind: fc.constant('url' as const), url: fc.webUrl() });

function imagePart(can: Sayable): fc.Arbitrary<ImagePart> {
  const detail = can.imageDetail
    ? optional(fc.constantFrom('auto' as const, 'low' as const, 'high' as const))
    : fc.constant(undefined);
  return fc
    .record({ source: fc.oneof(base64, url), detail, cache: cacheMark(can) })
    .map((part) => present({ kind: 'image' as const, ...part }));
}

function documentPart(can: Sayable): fc.Arbitrary<DocumentPart> {
  const sources = {
    base64: base64.map((source) => ({ ...source, mediaType: 'application/pdf' })),
    url,
    text: word.map((text) => ({ kind: 'text' as const, text })),
  };
  const note = can.documentNotes ? optional(word) : fc.constant(undefined);
  return fc
    .record({
      source: fc.oneof(...can.documents.map((kind) => sources[kind])),
      title: note,
      context: note,
      cache: cacheMark(can),
    })
    .map((part) => present({ kind: 'document' as const, ...part }));
}

function toolCallPart(can: Sayable): fc.Arbitrary<ToolCallPart> {
  return fc
    .record({ id, name: id, arguments: jsonObject.map((value) => JSON.stringify(value)), cache: cacheMark(can) })
    .map((part) => present({ kind: 'tool_call' as const, ...part }));
}

function toolResultPart(can: Sayable): fc.Arbitrary<ToolResultPart> {
  const inner = can.imagesInToolResults ? fc.oneof(textPart(can), imagePart(can)) : textPart(can);
  return fc
    .record({
      callId: id,
      parts: fc.array(inner, { minLength: 1, maxLength: 2 }),
      isError: can.toolErrors ? optional(fc.boolean()) : fc.constant(undefined),
      cache: cacheMark(can),
    })
    .map((part) => present({ kind: 'tool_result' as const, ...part }));
}

function userTurn(can: Sayable): fc.Arbitrary<Turn> {
  const shown = fc.oneof(textPart(can), imagePart(can), ...(can.documents.length === 0 ? [] : [documentPart(can)]));
  return fc
    .tuple(fc.array(toolResultPart(can), { maxLength: 2 }), fc.array<Part>(shown, { maxLength: 3 }))
    .filter(([results, rest]) => results.length + rest.length > 0)
    .map(([results, rest]) => ({ role: 'user', parts: [...results, ...rest] }));
}

function assistantTurn(can: Sayable): fc.Arbitrary<Turn> {
  const signature = can.thinkingInHistory === 'signed' ? optional(word) : fc.constant(undefined);
  const thinking: fc.Arbitrary<Part> = fc
    .record({ text: word, signature })
    .map((part) => present({ kind: 'thinking' as const, ...part }));
  const redacted: fc.Arbitrary<Part> = word.map((data) => ({ kind: 'redacted_thinking', data }));
  const refused: fc.Arbitrary<Part> = word.map((text) => ({ kind: 'refusal', text }));
  const none = fc.constant<readonly Part[]>([]);
  const one = (part: fc.Arbitrary<Part>) => fc.array(part, { maxLength: 1 });
  const ordered = fc
    .tuple(
      can.thinkingInHistory === 'none' ? none : one(thinking),
      one(textPart(can)),
      can.refusalInHistory ? one(refused) : none,
      fc.array(toolCallPart(can), { maxLength: 2 }),
    )
    .map((groups) => groups.flat());
  const anyhow = fc.array(
    fc.oneof(
      textPart(can),
      toolCallPart(can),
      ...(can.thinkingInHistory === 'none' ? [] : [thinking]),
      ...(can.thinkingInHistory === 'signed' ? [redacted] : []),
      ...(can.refusalInHistory ? [refused] : []),
    ),
    { maxLength: 4 },
  );
  return (can.anyOrder ? anyhow : ordered).filter((parts) => parts.length > 0).map((parts) => ({ role: 'assistant', parts }));
}

/** Turns begin with the user and alternate; a system turn stands only after an assistant's, where every dialect keeps it. */
function turns(can: Sayable): fc.Arbitrary<readonly Turn[]> {
  const system: fc.Arbitrary<readonly Turn[]> = can.systemTurns
    ? fc.array(
        textPart(can).map((part): Turn => ({ role: 'system', parts: [part] })),
        { maxLength: 1 },
      )
    : fc.constant([]);
  const round = fc.tuple(userTurn(can), assistantTurn(can), system).map(([user, assistant, more]) => [user, assistant, ...more]);
  return fc.tuple(fc.array(round, { maxLength: 2 }), userTurn(can)).map(([rounds, last]) => [...rounds.flat(), last]);
}

function tool(can: Sayable): fc.Arbitrary<Tool> {
  return fc
    .record({ name: id, description: optional(word), schema: jsonObject, strict: optional(fc.boolean()), cache: cacheMark(can) })
    .map(present);
}

/** Prompts that a dialect can say. */
export function prompts(can: Sayable): fc.Arbitrary<Prompt> {
  const ratio = fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100);
  const when = <T>(isSayable: boolean, arbitrary: fc.Arbitrary<T>) => (isSayable ? optional(arbitrary) : fc.constant(undefined));
  const oneOf = <T>(values: readonly T[]) =>
    values.length === 0 ? fc.constant(undefined) : optional(fc.constantFrom(...values));
  return fc
    .record({
      model: word,
      system: fc.array(textPart(can), { maxLength: 2 }),
      turns: turns(can),
      tools: fc.array(tool(can), { minLength: 1, maxLength: 2 }),
      toolChoice: optional(
        fc.oneof(
          fc.constantFrom({ kind: 'auto' as const }, { kind: 'any' as const }, { kind: 'none' as const }),
          id.map((name) => ({ kind: 'tool' as const, name })),
        ),
      ),
      parallelToolCalls: optional(fc.boolean()),
      maxOutputTokens: can.capRequired ? fc.integer({ min: 1, max: 9999 }) : optional(fc.integer({ min: 1, max: 9999 })),
      stopSequences: fc.array(word, { maxLength: can.stopSequencesMax }),
      temperature: optional(ratio),
      topP: optional(ratio),
      topK: when(can.topK, fc.nat(100)),
      seed: when(can.penaltiesAndSeed, fc.nat(1000)),
      presencePenalty: when(can.penaltiesAndSeed, ratio),
      frequencyPenalty: when(can.penaltiesAndSeed, ratio),
      thinking: oneOf(can.thinking),
      outputFormat: oneOf(can.formats),
      endUser: optional(word),
      serviceTier: oneOf(can.serviceTiers),
      cache: cacheMark(can),
      stream: fc.boolean(),
    })
    .map(({ parallelToolCalls, ...prompt }): Prompt => {
      const isSayable =
        (prompt.toolChoice !== undefined || can.parallelWithoutChoice) &&
        (prompt.toolChoice?.kind !== 'none' || can.parallelWithNone);
      const includeUsage = can.includeUsage && prompt.stream ? true : undefined;
      return present({ ...prompt, parallelToolCalls: isSayable ? parallelToolCalls : undefined, includeUsage });
    });
}

/** Answers that a dialect can say, whole. */
export function wholeAnswers({ answer: can }: Sayable): fc.Arbitrary<WholeAnswer> {
  const text: fc.Arbitrary<WholeBlock> = word.map((value) => ({ kind: 'text', text: value }));
  const signature = can.signatures ? fc.string({ maxLength: 4 }) : fc.constant('');
  const thinking: fc.Arbitrary<WholeBlock> = fc
    .record({ text: word, signature })
    .map((block) => ({ kind: 'thinking', ...block }));
  const redacted: fc.Arbitrary<WholeBlock> = word.map((data) => ({ kind: 'redacted_thinking', data }));
  const refused: fc.Arbitrary<WholeBlock> = word.map((value) => ({ kind: 'refusal', text: value }));
  const call: fc.Arbitrary<WholeBlock> = fc
    .record({ id, name: id, arguments: jsonObject.map((value) => JSON.stringify(value)) })
    .map((block) => ({ kind: 'tool_call', ...block }));
  const none = fc.constant<WholeBlock[]>([]);
  const one = (block: fc.Arbitrary<WholeBlock>) => fc.array(block, { maxLength: 1 });
  const ordered = fc
    .tuple(one(thinking), one(text), can.refusalBlocks ? one(refused) : none, fc.array(call, { maxLength: 3 }))
    .map((groups) => groups.flat());
  const anyhow = fc.array(
    fc.oneof(text, thinking, call, ...(can.redacted ? [redacted] : []), ...(can.refusalBlocks ? [refused] : [])),
    { maxLength: 5 },
  );
  const usage = fc
    .record(
      { input: fc.nat(999), cacheRead: fc.nat(999), cacheWrite: fc.nat(999), output: fc.nat(999), thinking: fc.nat(999) },
      { requiredKeys: [...can.usage.required] },
    )
    .map((said): TokenUsage => {
      const kept = new Set<string>([...can.usage.required, ...can.usage.optional]);
      return Object.fromEntries(Object.entries(said).filter(([key]) => kept.has(key)));
    });
  const details: fc.Arbitrary<RefusalDetails | undefined> = can.refusalDetails
    ? optional(fc.record({ category: fc.constantFrom('cyber', 'bio', null), explanation: fc.option(word) }))
    : fc.constant(undefined);
  return fc
    .record({
      id,
      model: fc.constant('m'),
      blocks: can.anyOrder ? anyhow : ordered,
      usage,
      reason: fc.constantFrom(...can.stops),
      stopSequence: word,
      details,
    })
    .map(({ id: answerId, model, blocks, usage: said, reason, stopSequence, details: refusal }) => {
      const stopped = stopReasonFor(can, blocks, reason);
      return {
        id: answerId,
        model,
        blocks,
        usage: said,
        stop: present({
          reason: stopped,
          stopSequence: stopped === 'stop_sequence' && can.stopSequence ? stopSequence : undefined,
          refusal: stopped === 'refusal' ? refusal : undefined,
        }),
      };
    });
}

/** Where a dialect tells refusals and calls apart by the blocks alone, the reason follows them. */
function stopReasonFor(can: SayableAnswer, blocks: readonly WholeBlock[], reason: StopReason): StopReason {
  if (!can.refusalBlocks) return reason;
  if (blocks.some((block) => block.kind === 'refusal')) return 'refusal';
  const hasCalls = blocks.some((block) => block.kind === 'tool_call');
  if (hasCalls && reason === 'end_turn') return 'tool_use';
  return !hasCalls && reason === 'tool_use' ? 'end_turn' : reason;
}

/** Answers as event sequences, their deltas cut at random. */
export function answers(can: Sayable): fc.Arbitrary<readonly AnswerEvent[]> {
  return fc
    .tuple(wholeAnswers(can), fc.array(fc.nat(6), { minLength: 1, maxLength: 6 }))
    .map(([whole, cuts]) => cutDeltas(answerEvents(whole), cuts));
}

function cutDeltas(events: readonly AnswerEvent[], cuts: readonly number[]): readonly AnswerEvent[] {
  return events.flatMap((event, position): readonly AnswerEvent[] => {
    if (event.kind !== 'delta' || event.delta.kind === 'signature') return [event];
    const { delta } = event;
    const characters = Array.from(delta.kind === 'arguments' ? delta.json : delta.text);
    const at = Math.min(cuts[position % cuts.length] ?? 0, characters.length);
    return [characters.slice(0, at), characters.slice(at)]
      .map((piece) => piece.join(''))
      .filter((piece) => piece !== '')
      .map((piece): AnswerEvent => ({
        ...event,
        delta: delta.kind === 'arguments' ? { ...delta, json: piece } : { ...delta, text: piece },
      }));
  });
}

/** Any JSON a client or a server could send, with the keys that tempt a careless reader. */
export const anyJson: fc.Arbitrary<Json> = fc
  .jsonValue({ maxDepth: 4 })
  .map((value) => JSON.parse(JSON.stringify(value).replaceAll('"a"', '"__proto__"')) as Json);

/** `body` with one value somewhere inside replaced: nearly right is where readers fall. */
export function spoiled(body: Json): fc.Arbitrary<Json> {
  return fc.tuple(fc.array(fc.nat(9), { maxLength: 6 }), anyJson).map(([path, value]) => replaceAt(body, path, value));
}

function replaceAt(body: Json, path: readonly number[], value: Json): Json {
  const [step, ...rest] = path;
  if (step === undefined || typeof body !== 'object' || body === null) return value;
  const entries = Object.entries(body);
  const at = entries.length === 0 ? 0 : step % entries.length;
  const replaced = entries.map(([key, inner], index): [string, Json] => [
    key,
    index === at ? replaceAt(inner, rest, value) : inner,
  ]);
  return Array.isArray(body) ? replaced.map(([, inner]) => inner) : Object.fromEntries(replaced);
}
