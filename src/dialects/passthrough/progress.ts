import type { AnswerError, TokenUsage } from '#contracts/answer';

/** What a side reader knows of an answer so far. Written only by the reader; read by the gateway after every push. */
export interface AnswerProgress {
  /** The answer has begun: from here on it cannot be moved to another replica unseen. */
  hasContent: boolean;
  /** The answer's own final event has been seen: the bytes may end now. */
  isComplete: boolean;
  /** The engine ended the answer with an error event. */
  error: AnswerError | null;
  usage: TokenUsage;
  /** True once the engine has said its final count of output tokens. */
  hasFinalUsage: boolean;
  stopReason: string | null;
  /** Content events, and the bytes of their data: what an estimate of output tokens rests on when no final usage came. */
  contentEvents: number;
  contentBytes: number;
}

/** The state of an answer of which nothing has arrived. */
export function newProgress(): AnswerProgress {
  return {
    hasContent: false,
    isComplete: false,
    error: null,
    usage: {},
    hasFinalUsage: false,
    stopReason: null,
    contentEvents: 0,
    contentBytes: 0,
  };
}

/** Bytes of text that a token stands for where nothing better is known; English text in current vocabularies has 4 to 5. */
const BYTES_PER_TOKEN = 4;
/** Above this many bytes an event, events carry several tokens each and bytes are the better witness. */
const BYTES_PER_EVENT_OF_ONE_TOKEN = 16;

/**
 * Output tokens delivered so far, for an answer whose final usage never came.
 * @returns whole tokens, at least what the engine itself last said; engines that send a token an event are counted exactly
 */
export function estimateOutputTokens(progress: AnswerProgress): number {
  const { contentEvents, contentBytes, usage } = progress;
  if (contentEvents === 0) return usage.output ?? 0;
  const isTokenAnEvent = contentBytes <= contentEvents * BYTES_PER_EVENT_OF_ONE_TOKEN;
  const estimate = isTokenAnEvent ? contentEvents : Math.ceil(contentBytes / BYTES_PER_TOKEN);
  return Math.max(estimate, usage.output ?? 0);
}
