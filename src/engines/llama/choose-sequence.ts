/** One of the context's sequences while nobody uses it: what its cache holds and whose that is. */
export interface IdleSequence {
  readonly index: number;
  /** The tokens whose keys and values are in the cache, in order. */
  readonly tokens: readonly number[];
  /** Whose they are; null when nobody's. */
  readonly isolation: string | null;
  readonly conversation: string | null;
  /** When it was last used, as a number that only grows. */
  readonly lastUsed: number;
}

export interface SequenceRequest {
  readonly tokens: readonly number[];
  readonly isolation: string;
  readonly conversation: string | null;
}

export interface SequenceChoice {
  readonly index: number;
  /** How many of its leading tokens stay; the others must be erased before anything is evaluated. */
  readonly keep: number;
}

/**
 * Chooses the sequence on which a prompt is evaluated.
 * 1. One that the prompt *continues*, with the longest common prefix. It continues it when what would be lost is no more than what
 *    is kept, or when the whole prompt is there, or when it is the same conversation. Without this test every new conversation
 *    would take another one's sequence for the sake of a shared system prompt, and destroy what that one comes back for.
 * 2. Otherwise one that holds nothing. 3. Otherwise the least recently used, keeping the common prefix if it has one.
 *
 * Nothing is ever kept across two isolation values: there `keep` is 0, so a hit can neither be had nor be timed.
 * The last token of a prompt is always evaluated again, because sampling needs its logits: `keep` is at most `tokens.length - 1`.
 * @param idle - at least one
 * @param request - at least one token
 */
export function chooseSequence(idle: readonly IdleSequence[], request: SequenceRequest): SequenceChoice | null {
  const candidates = idle.map((sequence) => weigh(sequence, request)).toSorted(byUse);
  const [best] = candidates.filter(continues).toSorted(byKept);
  return best ?? candidates.find(({ held }) => held === 0) ?? candidates[0] ?? null;
}

interface Candidate extends SequenceChoice {
  readonly held: number;
  readonly isSameConversation: boolean;
  readonly isWholePrompt: boolean;
  readonly lastUsed: number;
}

function weigh(sequence: IdleSequence, request: SequenceRequest): Candidate {
  const most = request.tokens.length - 1;
  const common = sequence.isolation === request.isolation ? commonPrefix(sequence.tokens, request.tokens, most) : 0;
  return {
    index: sequence.index,
    keep: common,
    held: sequence.tokens.length,
    isSameConversation: request.conversation !== null && sequence.conversation === request.conversation,
    isWholePrompt: common === most,
    lastUsed: sequence.lastUsed,
  };
}

function continues({ keep, held, isSameConversation, isWholePrompt }: Candidate): boolean {
  return keep > 0 && (held - keep <= keep || isWholePrompt || isSameConversation);
}

function byUse(a: Candidate, b: Candidate): number {
  return a.lastUsed - b.lastUsed;
}

/** Longest kept first; among equals the same conversation, then the one that loses least. The sort is stable, so then the oldest. */
function byKept(a: Candidate, b: Candidate): number {
  return b.keep - a.keep || Number(b.isSameConversation) - Number(a.isSameConversation) || a.held - b.held;
}

function commonPrefix(a: readonly number[], b: readonly number[], most: number): number {
  let length = 0;
  while (length < most && length < a.length && a[length] === b[length]) length++;
  return length;
}
