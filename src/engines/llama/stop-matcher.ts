/** What may be shown after some more text came, and the stop sequence that was completed, if one was. */
export interface StopMatch {
  readonly text: string;
  readonly stopSequence: string | null;
}

export interface StopMatcher {
  /** Takes the next piece of generated text. After a match nothing may be pushed. */
  push(text: string): StopMatch;
  /** The generation ended by itself: what was held back was not a stop sequence after all. */
  flush(): string;
}

/**
 * Finds the first stop sequence that generated text completes, however the text is split into pieces, and holds back only what
 * may still turn out to be one. Of two that end at the same place the longer wins.
 * One Knuth-Morris-Pratt automaton per sequence: the cost is proportional to the text, whatever the sequences look like.
 * @param sequences - non-empty strings
 */
export function createStopMatcher(sequences: readonly string[]): StopMatcher {
  const automata = sequences.map((sequence) => ({ sequence, fallbacks: fallbacksOf(sequence), matched: 0 }));
  let held = '';
  return {
    push(text) {
      const from = held.length;
      held += text;
      for (let at = from; at < held.length; at++) {
        let completed: string | null = null;
        for (const automaton of automata) {
          automaton.matched = advance(automaton, held.charAt(at));
          if (automaton.matched < automaton.sequence.length) continue;
          if (completed === null || automaton.sequence.length > completed.length) completed = automaton.sequence;
          automaton.matched = automaton.fallbacks[automaton.matched - 1] ?? 0;
        }
        if (completed !== null) return { text: held.slice(0, at + 1 - completed.length), stopSequence: completed };
      }
      const pending = automata.reduce((most, { matched }) => Math.max(most, matched), 0);
      const shown = held.slice(0, held.length - pending);
      held = held.slice(held.length - pending);
      return { text: shown, stopSequence: null };
    },
    flush() {
      const rest = held;
      held = '';
      return rest;
    },
  };
}

interface Automaton {
  readonly sequence: string;
  readonly fallbacks: readonly number[];
  readonly matched: number;
}

/** How many characters of the sequence are matched once `character` has been read. */
function advance({ sequence, fallbacks, matched }: Automaton, character: string): number {
  let length = matched;
  while (length > 0 && sequence.charAt(length) !== character) length = fallbacks[length - 1] ?? 0;
  return sequence.charAt(length) === character ? length + 1 : 0;
}

/** For each prefix, the length of its longest proper suffix that is a prefix again. */
function fallbacksOf(sequence: string): readonly number[] {
  const fallbacks = [0];
  for (let at = 1; at < sequence.length; at++) {
    fallbacks.push(advance({ sequence, fallbacks, matched: fallbacks[at - 1] ?? 0 }, sequence.charAt(at)));
  }
  return fallbacks;
}
