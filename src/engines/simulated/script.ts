import { z } from 'zod';
import type { Prompt } from '#contracts/prompt';
import { createDraw } from '#core/simulation';

/**
 * What a simulated engine does on purpose. A script is a list of rules; every rule that matches a request adds its effects, and of
 * two effects of one kind the first wins (tool calls add up). Unknown keys are refused, as in the configuration file.
 */
const matcher = z.strictObject({
  /** The last user turn's text has this in it. */
  contains: z.string().min(1).optional(),
  /** … or matches this regular expression. */
  matches: z
    .string()
    .min(1)
    .refine((source) => compile(source) !== null, 'a regular expression')
    .optional(),
  model: z.string().optional(),
  /** Only the n-th request that this engine was given, from 1. */
  nth: z.int().min(1).optional(),
  /** Only every n-th request. */
  every: z.int().min(1).optional(),
  /** Only this share of the requests that match otherwise, drawn from the seed. */
  probability: z.number().min(0).max(1).optional(),
});

const tokens = z.int().min(0).max(1_000_000);
const effect = z.discriminatedUnion('kind', [
  /** Declines: `as: stop` ends with the stop reason `refusal` and the category, `as: text` only says so in words. */
  z.strictObject({
    kind: z.literal('refuse'),
    category: z.string().nullable().default(null),
    explanation: z.string().nullable().default(null),
    as: z.enum(['stop', 'text']).default('stop'),
  }),
  /** Calls a tool, with these arguments or with some that fit its schema. */
  z.strictObject({ kind: z.literal('call_tool'), name: z.string().min(1), arguments: z.record(z.string(), z.json()).optional() }),
  /** Answers exactly this, or with this many tokens of prose. */
  z.strictObject({ kind: z.literal('answer'), text: z.string().min(1).optional(), tokens: tokens.min(1).optional() }),
  /** Thinks first. */
  z.strictObject({ kind: z.literal('think'), tokens: tokens.min(2).default(32) }),
  /** Breaks the connection after so many tokens; before any, there is no response at all. */
  z.strictObject({ kind: z.literal('break'), after_tokens: tokens.default(0) }),
  /** Answers with an HTTP status instead of an answer. */
  z.strictObject({
    kind: z.literal('http_error'),
    status: z.int().min(400).max(599),
    message: z.string().default('Simulated failure.'),
    retry_after_s: z.int().min(0).max(86_400).optional(),
  }),
  /** Says 200, then an error event, after so many tokens (0: before any content). */
  z.strictObject({
    kind: z.literal('stream_error'),
    status: z.int().min(400).max(599).default(529),
    message: z.string().default('Simulated failure in the stream.'),
    after_tokens: tokens.default(0),
  }),
  /** Sends nothing for a while after so many tokens (0: not even a status); without `for_ms`, for ever. */
  z.strictObject({
    kind: z.literal('stall'),
    after_tokens: tokens.default(0),
    for_ms: z.int().min(0).max(86_400_000).optional(),
  }),
  /** Delivers everything this many times later. */
  z.strictObject({ kind: z.literal('slow'), factor: z.number().min(1).max(1000) }),
  /** Another behavior answers: other words, under another model's name. */
  z.strictObject({ kind: z.literal('wrong_behavior'), model: z.string().min(1).default('another-model') }),
  /** Goes on generating when the client has left. */
  z.strictObject({ kind: z.literal('ignore_cancellation') }),
]);

const rule = z.strictObject({ when: matcher.default({}), do: z.union([effect, z.array(effect).min(1).max(16)]) });

/** A script as a file holds it: `{ "rules": [ … ] }`. */
export const scriptSchema = z.strictObject({ rules: z.array(rule).max(1000) });

type Rule = z.infer<typeof rule>;
export type Effect = z.infer<typeof effect>;
/** A rule as code writes it, defaults left out. */
export type ScriptRule = z.input<typeof rule>;

/** The effects of a script on one request; pure. */
export type Script = (request: ScriptedRequest) => readonly Effect[];

interface ScriptedRequest {
  readonly prompt: Prompt;
  /** Counts the requests that the engine was given, from 1. */
  readonly number: number;
  /** From the engine's seed and the request: decides the rates. */
  readonly seed: number;
}

/** Longest text that rules look at, in UTF-16 units: a pattern must not stall the engine on a long prompt. */
const MATCHED_TEXT_MAX = 65_536;

/** Checks rules and makes a {@link Script} of them. */
export function createScript(rules: readonly ScriptRule[]): Script {
  const parsed = scriptSchema.parse({ rules }).rules.map((one) => ({ ...one, pattern: compile(one.when.matches ?? '') }));
  return (request) => {
    const text = lastUserText(request.prompt).slice(0, MATCHED_TEXT_MAX);
    return parsed.flatMap((one, index) => (isMatch(one, text, { ...request, index }) ? one.do : []));
  };
}

type CompiledRule = Rule & { readonly pattern: RegExp | null };

function isMatch({ when, pattern }: CompiledRule, text: string, request: ScriptedRequest & { readonly index: number }): boolean {
  if (when.contains !== undefined && !text.includes(when.contains)) return false;
  if (when.matches !== undefined && pattern?.test(text) !== true) return false;
  if (when.model !== undefined && when.model !== request.prompt.model) return false;
  if (when.nth !== undefined && when.nth !== request.number) return false;
  if (when.every !== undefined && request.number % when.every !== 0) return false;
  // A draw of its own for each rule and request: adding a rule does not change what another one does.
  const draw = createDraw(request.seed ^ Math.imul(request.number, 0x9e3779b1) ^ Math.imul(request.index + 1, 0x85ebca6b));
  return when.probability === undefined || draw() < when.probability;
}

function lastUserText(prompt: Prompt): string {
  const parts = prompt.turns.findLast((turn) => turn.role === 'user')?.parts ?? [];
  return parts.flatMap((part) => (part.kind === 'text' ? [part.text] : [])).join('\n');
}

function compile(source: string): RegExp | null {
  try {
    return new RegExp(source, 'u');
  } catch {
    return null;
  }
}
