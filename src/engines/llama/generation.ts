import type { AnswerError, AnswerEvent, StopReason } from '#contracts/answer';
import type { Prompt } from '#contracts/prompt';
import { createStopMatcher } from './stop-matcher.ts';
import { createTextStream } from './text-stream.ts';

export interface GenerationStart {
  readonly id: string;
  readonly prompt: Prompt;
  readonly promptTokens: number;
  /** Most tokens of prompt and answer together. */
  readonly contextTokens: number;
  readonly detokenize: (tokens: readonly number[], before: readonly number[]) => string;
  readonly emit: (event: AnswerEvent) => void;
}

/** The answer side of one generation: tokens in, events out, and the decision when it is over. */
export interface Generation {
  /** @param cachedTokens - how many tokens of the prompt are expected not to be computed again */
  start(cachedTokens: number): void;
  /**
   * Takes the next token, null when the model ended its turn.
   * @param cachedTokens - how many tokens of the prompt were, as counted, not computed again
   * @returns whether the answer is complete
   */
  take(token: number | null, cachedTokens: number): boolean;
  fail(error: AnswerError): void;
}

export function createGeneration(start: GenerationStart): Generation {
  const { prompt, promptTokens, emit } = start;
  const stops = createStopMatcher(prompt.stopSequences);
  const text = createTextStream(start.detokenize);
  const room = start.contextTokens - promptTokens;
  const outputMax = Math.min(prompt.maxOutputTokens ?? room, room);
  let output = 0;
  let isBlockOpen = false;

  function show(piece: string): void {
    if (piece === '') return;
    if (!isBlockOpen) emit({ kind: 'block_start', index: 0, block: { kind: 'text' } });
    isBlockOpen = true;
    emit({ kind: 'delta', index: 0, delta: { kind: 'text', text: piece } });
  }

  function finish(reason: StopReason, cacheRead: number, stopSequence?: string): true {
    if (isBlockOpen) emit({ kind: 'block_end', index: 0 });
    emit({ kind: 'usage', usage: { input: promptTokens - cacheRead, cacheRead, output } });
    emit({ kind: 'stop', reason, ...(stopSequence !== undefined && { stopSequence }) });
    emit({ kind: 'end' });
    return true;
  }

  return {
    start(cacheRead) {
      const usage = { input: promptTokens - cacheRead, cacheRead, output: 0 };
      emit({ kind: 'start', id: start.id, model: prompt.model, usage });
    },
    take(token, cachedTokens) {
      if (token === null) {
        show(stops.flush());
        return finish('end_turn', cachedTokens);
      }
      output++;
      const match = stops.push(text.push(token));
      show(match.text);
      if (match.stopSequence !== null) return finish('stop_sequence', cachedTokens, match.stopSequence);
      if (output < outputMax) return false;
      show(stops.flush());
      return finish(prompt.maxOutputTokens === outputMax ? 'max_tokens' : 'context_window', cachedTokens);
    },
    fail(error) {
      emit({ kind: 'error', error });
    },
  };
}
