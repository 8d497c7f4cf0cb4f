import type { Prompt } from '#contracts/prompt';

/** A prompt for tests: what people said, starting with the user, by turns. */
export function promptOf(turns: readonly string[], more: Partial<Prompt> = {}): Prompt {
  return {
    model: 'smollm2',
    system: [],
    tools: [],
    stopSequences: [],
    stream: true,
    temperature: 0,
    turns: turns.map((text, at) => ({ role: at % 2 === 0 ? 'user' : 'assistant', parts: [{ kind: 'text', text }] })),
    ...more,
  };
}
