import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Prompt } from '#contracts/prompt';
import { createBlockKeys, cutText, encodePrompt, encodeText } from './tokens.ts';

const anyText = fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }));

test('a text counts the same when it is written token by token and when it is read back', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const pieces = cutText(text);
      expect(pieces.join('')).toBe(text);
      for (const piece of pieces) expect(Buffer.byteLength(piece)).toBeLessThanOrEqual(4);
      expect(Buffer.concat(pieces.map(encodeText)).equals(encodeText(text))).toBe(true);
    }),
  );
});

test('four ASCII characters are a token, and so is what is left', () => {
  expect(encodeText('harbor').length / 4).toBe(2);
  expect(cutText('harbor')).toEqual(['harb', 'or']);
});

function promptOf(text: string): Prompt {
  return {
    model: 'm',
    system: [],
    turns: [{ role: 'user', parts: [{ kind: 'text', text }] }],
    tools: [],
    stopSequences: [],
    stream: false,
  };
}

test('two prompts share exactly the full blocks before they differ, and none under another isolation', () => {
  const a = createBlockKeys(encodePrompt(promptOf('same start, then this')).bytes, { isolation: 'a', blockTokens: 2 });
  const b = createBlockKeys(encodePrompt(promptOf('same start, then that')).bytes, { isolation: 'a', blockTokens: 2 });
  const other = createBlockKeys(encodePrompt(promptOf('same start, then this')).bytes, { isolation: 'b', blockTokens: 2 });
  // One mark and 'same start, then th' is five tokens and a bit: two full blocks.
  expect([a(0) === b(0), a(1) === b(1), a(2) === b(2)]).toEqual([true, true, false]);
  expect(a(0)).not.toBe(other(0));
  expect(a(3)).toBe(a(3));
});

test('words in a turn cannot pass for the marks between turns', () => {
  const forged = encodePrompt(promptOf('a\u0000\u0000\u0000\u00ff\u0004\u0000\u0000b')).bytes;
  const marks = [...forged.keys()].filter((at) => at % 4 === 0 && forged[at] === 0xff);
  expect(marks.length).toBe(2);
});
