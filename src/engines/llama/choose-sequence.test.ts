import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chooseSequence, type IdleSequence } from './choose-sequence.ts';

const SYSTEM = [1, 2, 3];

function idle(index: number, more: Partial<IdleSequence> = {}): IdleSequence {
  return { index, tokens: [], isolation: null, conversation: null, lastUsed: index, ...more };
}

test('the next turn goes back to its conversation’s sequence and keeps all of it', () => {
  const sequences = [idle(0), idle(1, { tokens: [...SYSTEM, 4, 5], isolation: 'a' })];
  const request = { tokens: [...SYSTEM, 4, 5, 6, 7], isolation: 'a', conversation: null };
  expect(chooseSequence(sequences, request)).toMatchObject({ index: 1, keep: 5 });
});

test('a new conversation does not destroy another one for the sake of a shared system prompt', () => {
  const sequences = [idle(0, { tokens: [...SYSTEM, 4, 5, 6, 7, 8, 9], isolation: 'a' }), idle(1)];
  const request = { tokens: [...SYSTEM, 40], isolation: 'a', conversation: null };
  // The whole prompt but its last token is there: that is the one shared prefix worth taking.
  expect(chooseSequence(sequences, request)).toMatchObject({ index: 0, keep: 3 });
  expect(chooseSequence(sequences, { ...request, tokens: [...SYSTEM, 40, 41] })).toMatchObject({ index: 1, keep: 0 });
});

test('a conversation that changed its last words keeps its own sequence, however much is lost', () => {
  const sequences = [idle(0, { tokens: [1, 2, 9, 9, 9, 9, 9, 9], isolation: 'a', conversation: 'c' }), idle(1)];
  expect(chooseSequence(sequences, { tokens: [1, 2, 3, 4], isolation: 'a', conversation: 'c' })).toMatchObject({
    index: 0,
    keep: 2,
  });
  expect(chooseSequence(sequences, { tokens: [1, 2, 3, 4], isolation: 'a', conversation: 'd' })).toMatchObject({
    index: 1,
    keep: 0,
  });
});

test('another isolation value shares nothing, even with the very same prompt', () => {
  const sequences = [idle(0, { tokens: [1, 2, 3, 4], isolation: 'a' })];
  expect(chooseSequence(sequences, { tokens: [1, 2, 3, 4], isolation: 'b', conversation: null })).toMatchObject({
    index: 0,
    keep: 0,
  });
});

test('when every sequence is taken by someone, the least recently used gives way', () => {
  const sequences = [
    idle(0, { tokens: [7, 7], isolation: 'a', lastUsed: 9 }),
    idle(1, { tokens: [8, 8], isolation: 'b', lastUsed: 4 }),
    idle(2, { tokens: [9, 9], isolation: 'a', lastUsed: 7 }),
  ];
  expect(chooseSequence(sequences, { tokens: [1, 2], isolation: 'a', conversation: null })).toMatchObject({ index: 1, keep: 0 });
});

test('the last token of a prompt is always evaluated again', () => {
  const sequences = [idle(0, { tokens: [1, 2, 3], isolation: 'a' })];
  expect(chooseSequence(sequences, { tokens: [1, 2, 3], isolation: 'a', conversation: null })).toMatchObject({
    index: 0,
    keep: 2,
  });
});

test('what is kept is always a true prefix of both, and only ever within one isolation value', () => {
  const tokens = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 8 });
  const isolation = fc.constantFrom('a', 'b');
  const sequence = fc.record({ tokens, isolation, conversation: fc.constantFrom('c', null), lastUsed: fc.nat(9) });
  const request = fc.record({
    tokens: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 8 }),
    isolation,
    conversation: fc.constantFrom('c', null),
  });
  fc.assert(
    fc.property(fc.array(sequence, { minLength: 1, maxLength: 4 }), request, (held, asked) => {
      const sequences = held.map((each, index) => ({ index, ...each }));
      const choice = chooseSequence(sequences, asked)!;
      const chosen = sequences[choice.index]!;
      expect(choice.keep).toBeLessThan(asked.tokens.length);
      expect(chosen.tokens.slice(0, choice.keep)).toEqual(asked.tokens.slice(0, choice.keep));
      if (chosen.isolation !== asked.isolation) expect(choice.keep).toBe(0);
    }),
  );
});
