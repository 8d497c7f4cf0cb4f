import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createStopMatcher } from './stop-matcher.ts';

function run(sequences: readonly string[], pieces: readonly string[]): { text: string; stop: string | null } {
  const matcher = createStopMatcher(sequences);
  let text = '';
  for (const piece of pieces) {
    const match = matcher.push(piece);
    text += match.text;
    if (match.stopSequence !== null) return { text, stop: match.stopSequence };
  }
  return { text: text + matcher.flush(), stop: null };
}

/** The law in its slowest form: try every end, then the longest sequence that ends there. */
function slowly(sequences: readonly string[], text: string): { text: string; stop: string | null } {
  for (let end = 1; end <= text.length; end++) {
    const stops = sequences.filter((sequence) => text.slice(0, end).endsWith(sequence));
    const stop = stops.toSorted((a, b) => b.length - a.length)[0];
    if (stop !== undefined) return { text: text.slice(0, end - stop.length), stop };
  }
  return { text, stop: null };
}

test.each([
  [['\n\n'], ['one\n', '\ntwo'], { text: 'one', stop: '\n\n' }],
  [['END'], ['the E', 'N', 'D of it'], { text: 'the ', stop: 'END' }],
  [['END'], ['the EN', 'ENDING'], { text: 'the EN', stop: 'END' }],
  [['aab'], ['aaab'], { text: 'a', stop: 'aab' }],
  [['abc', 'b'], ['abc'], { text: 'a', stop: 'b' }],
  [['ab', 'b'], ['ab'], { text: '', stop: 'ab' }],
  [['zz'], ['a z'], { text: 'a z', stop: null }],
  [[], ['anything'], { text: 'anything', stop: null }],
])('the stop sequences %j end %j where they should', (sequences, pieces, expected) => {
  expect(run(sequences, pieces)).toEqual(expected);
});

test('text that cannot become a stop sequence is never held back', () => {
  const matcher = createStopMatcher(['STOP']);
  expect(matcher.push('go on').text).toBe('go on');
  expect(matcher.push(' S').text).toBe(' ');
  expect(matcher.push('T').text).toBe('');
  expect(matcher.push('x').text).toBe('STx');
});

test('however the text is split into tokens, the answer is the same and holds no part of a stop sequence', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 40 });
  const sequence = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(fc.array(letters, { maxLength: 12 }), fc.array(sequence, { maxLength: 4 }), (pieces, sequences) => {
      expect(run(sequences, pieces)).toEqual(slowly(sequences, pieces.join('')));
    }),
    { numRuns: 500 },
  );
});
