import { hash } from 'node:crypto';
import type { AnswerError, AnswerEvent, TokenUsage } from '#contracts/answer';
import type { Clock } from '#contracts/clock';
import type { Prompt } from '#contracts/prompt';
import type { EngineProfile } from '#core/simulation';
import type { GenerationContext } from '../generator.ts';
import type { WireEvent, WireGenerator } from '../wire-event.ts';
import { type BatchCounts, createBatch, type Sequence } from './batch.ts';
import { type AnswerPlan, effectOf, planAnswer, tokenEvents } from './plan.ts';
import { createScript, type Effect, type ScriptRule } from './script.ts';
import { createBlockKeys, type EncodedPrompt, encodePrompt } from './tokens.ts';

/** An engine that pretends: words from a seed, time and memory from a calibrated profile, misbehavior from a script. */
export interface SimulatedGenerator extends WireGenerator {
  stats(): SimulatedStats;
  /** Empties the prefix cache, as a restart would. */
  clearCache(): void;
}

/** Counts since the start. A request that ended is finished, cancelled (its client left) or failed (by script, or not taken). */
interface SimulatedStats extends BatchCounts {
  readonly begun: number;
  readonly finished: number;
  readonly cancelled: number;
  readonly failed: number;
}

export interface SimulatedOptions {
  /** Everything waits on this clock: real time for demonstrations, virtual time for tests and simulations. */
  readonly clock: Clock;
  readonly profile: EngineProfile;
  /** Decides, together with the request, every word and every draw. */
  readonly seed: number;
  readonly rules?: readonly ScriptRule[];
  /** Median length of answers that no rule decides, tokens; 96 unless told. */
  readonly medianAnswerTokens?: number;
}

/** Longest answer where the client set no limit, tokens. */
const ANSWER_TOKENS_MAX = 32_768;

export function createSimulatedGenerator(options: SimulatedOptions): SimulatedGenerator {
  const { clock, profile } = options;
  const script = createScript(options.rules ?? []);
  const batch = createBatch(clock, profile);
  const contextTokens = Math.min(
    profile.contextTokens,
    Math.floor(profile.capacityTokens / profile.blockTokens) * profile.blockTokens,
  );
  const totals = { begun: 0, finished: 0, cancelled: 0, failed: 0 };
  let isClosed = false;

  async function* generateWire(prompt: Prompt, context: GenerationContext, signal: AbortSignal): AsyncGenerator<WireEvent, void> {
    const number = (totals.begun += 1);
    const encoded = encodePrompt(prompt);
    const seed = seedOf(options.seed, encoded, prompt);
    const effects = script({ prompt, number, seed });
    const refused = isClosed ? CLOSED : refuseAtOnce(prompt, effects, encoded.tokens, contextTokens);
    if (refused !== null || signal.aborted) {
      totals[signal.aborted ? 'cancelled' : 'failed'] += 1;
      if (refused !== null && !signal.aborted) yield refused;
      return;
    }
    const wrong = effectOf(effects, 'wrong_behavior');
    const room = contextTokens - encoded.tokens;
    const asked = prompt.maxOutputTokens ?? ANSWER_TOKENS_MAX;
    const plan = planAnswer(prompt, effects, {
      seed: wrong === undefined ? seed : ~seed,
      tokensMax: Math.min(asked, room),
      stopAtMax: asked <= room ? 'max_tokens' : 'context_window',
      medianTokens: options.medianAnswerTokens ?? 96,
    });
    const blockKey = createBlockKeys(Buffer.concat([encoded.bytes, plan.bytes]), {
      isolation: context.isolation,
      blockTokens: profile.blockTokens,
    });
    const sequence = batch.start(
      { promptTokens: encoded.tokens, outputTokens: plan.tokens, blockKey },
      effectOf(effects, 'slow')?.factor ?? 1,
    );
    const onAbort = (): void => {
      sequence.abandon();
      if (effectOf(effects, 'ignore_cancellation') === undefined) sequence.end();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    let end: keyof typeof totals = 'cancelled';
    try {
      const events = speak(sequence, {
        plan,
        effects,
        encoded,
        blockTokens: profile.blockTokens,
        id: `sim_${number}`,
        model: wrong?.model ?? prompt.model,
      });
      const spoken = yield* events;
      if (!signal.aborted) end = spoken;
      if (spoken === 'failed' && isClosed && !signal.aborted) yield CLOSED;
    } finally {
      signal.removeEventListener('abort', onAbort);
      totals[end] += 1;
      // Whoever stops reading without a word has left, too.
      if (end === 'cancelled') sequence.abandon();
      sequence.end();
    }
  }
  return {
    generateWire,
    async *generate(prompt, context, signal) {
      for await (const event of generateWire(prompt, context, signal)) yield asAnswer(event);
    },
    countTokens: (prompt) => Promise.resolve(encodePrompt(prompt).tokens),
    close() {
      isClosed = true;
      batch.close();
      return Promise.resolve();
    },
    clearCache: () => batch.clearCache(),
    stats: () => ({ ...totals, ...batch.counts() }),
  };
}

interface Speech {
  readonly plan: AnswerPlan;
  readonly effects: readonly Effect[];
  readonly encoded: EncodedPrompt;
  readonly blockTokens: number;
  readonly id: string;
  readonly model: string;
}

/** Hands out a plan as its tokens come, with whatever the script does on the way. */
async function* speak(sequence: Sequence, speech: Speech): AsyncGenerator<WireEvent, 'finished' | 'failed'> {
  const { plan, effects } = speech;
  const stall = effectOf(effects, 'stall');
  let at = 0;
  let isStarted = false;
  for (const events of tokenEvents(plan)) {
    if (stall?.after_tokens === at && !(await sequence.hold(stall.for_ms ?? null))) return 'failed';
    if (!(await sequence.hasToken(at))) return 'failed';
    const isBroken = effectOf(effects, 'break')?.after_tokens === at;
    if (!isStarted && !isBroken) {
      yield { kind: 'start', id: speech.id, model: speech.model, usage: { ...inputUsage(speech, sequence), output: 0 } };
      isStarted = true;
    }
    const failure = failureAt(effects, (after) => after === at);
    if (failure !== null) {
      yield failure;
      return 'failed';
    }
    yield* events;
    at += 1;
  }
  if (stall !== undefined && stall.after_tokens >= at && !(await sequence.hold(stall.for_ms ?? null))) return 'failed';
  // What was to happen after more tokens than there are happens instead of the end.
  const failure = failureAt(effects, (after) => after >= at);
  if (failure !== null) {
    yield failure;
    return 'failed';
  }
  const thinking = plan.thinkingTokens > 0 ? { thinking: plan.thinkingTokens } : {};
  yield { kind: 'usage', usage: { ...inputUsage(speech, sequence), output: plan.tokens, ...thinking } };
  yield { kind: 'stop', ...plan.stop };
  yield { kind: 'end' };
  return 'finished';
}

function failureAt(effects: readonly Effect[], isNow: (afterTokens: number) => boolean): WireEvent | null {
  const broken = effectOf(effects, 'break');
  if (broken !== undefined && isNow(broken.after_tokens)) return { kind: 'wire_reset' };
  const failed = effectOf(effects, 'stream_error');
  return failed !== undefined && isNow(failed.after_tokens)
    ? { kind: 'error', error: errorOf(failed.status, failed.message) }
    : null;
}

/**
 * Input by kind. What was read from the cache is what the scheduler found in blocks. Where the client marked parts to be cached,
 * what was computed up to the last mark, in whole blocks, counts as written; blocks are kept either way, as in vLLM.
 */
function inputUsage({ encoded, blockTokens }: Speech, sequence: Sequence): TokenUsage {
  const cacheRead = sequence.cacheReadTokens();
  const markedTokens = Math.floor(encoded.markedTokens / blockTokens) * blockTokens;
  const cacheWrite = Math.max(0, markedTokens - cacheRead);
  return { input: encoded.tokens - cacheRead - cacheWrite, cacheRead, cacheWrite };
}

function refuseAtOnce(prompt: Prompt, effects: readonly Effect[], promptTokens: number, contextTokens: number): WireEvent | null {
  const scripted = effectOf(effects, 'http_error');
  if (scripted !== undefined)
    return { kind: 'wire_error', error: errorOf(scripted.status, scripted.message), retryAfterS: scripted.retry_after_s ?? null };
  if (promptTokens >= contextTokens) {
    const message = `The prompt is too long: ${promptTokens} tokens, and there is room for ${contextTokens} with the answer.`;
    return { kind: 'error', error: errorOf(400, message) };
  }
  const choice = prompt.toolChoice;
  if (choice?.kind === 'tool' && !prompt.tools.some(({ name }) => name === choice.name))
    return { kind: 'error', error: errorOf(400, 'The tool choice names a tool that the request does not have.') };
  return null;
}

const CLOSED: WireEvent = { kind: 'error', error: errorOf(503, 'The engine is shutting down.') };

function errorOf(status: number, message: string): AnswerError {
  const types: Readonly<Record<number, string>> = { 429: 'rate_limit_error', 529: 'overloaded_error' };
  return { status, type: types[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error'), message };
}

/** Above the wire nothing can break a connection, so there it is an error like others. */
function asAnswer(event: WireEvent): AnswerEvent {
  if (event.kind === 'wire_error') return { kind: 'error', error: event.error };
  return event.kind === 'wire_reset' ? { kind: 'error', error: errorOf(502, 'The simulated connection broke.') } : event;
}

/** 32 bits that depend on all of the request that shapes an answer. */
function seedOf(seed: number, encoded: EncodedPrompt, prompt: Prompt): number {
  const head = Buffer.from(JSON.stringify([seed, prompt.seed ?? null, prompt.outputFormat ?? null, prompt.toolChoice ?? null]));
  return hash('sha256', Buffer.concat([head, encoded.bytes]), 'buffer').readInt32LE(0);
}
