import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lastTextOf } from './last-text.ts';

const tailOf = (value: unknown, bytes = Infinity): Buffer => Buffer.from(JSON.stringify(value)).subarray(-bytes);

test.each([
  ['one string', 'How deep may she lie?', 'How deep may she lie?'],
  ['one message', [{ role: 'user', content: 'How deep?' }], 'How deep?'],
  [
    'the last of a conversation',
    [
      { role: 'user', content: 'How deep?' },
      { role: 'assistant', content: 'To the mark.' },
      { role: 'user', content: 'And in winter?' },
    ],
    'And in winter?',
  ],
  [
    'a role that stands behind its text',
    [
      { content: 'To the mark.', role: 'assistant' },
      { content: 'And in winter?', role: 'user' },
    ],
    'And in winter?',
  ],
  [
    'blocks, without names, types and data',
    [
      {
        role: 'user',
        content: [
          { type: 'image', source: { type: 'base64', data: 'QUJD' } },
          { type: 'text', text: 'What is this?' },
          { type: 'tool_result', tool_use_id: 'toolu_1', content: 'a ship' },
        ],
      },
    ],
    'What is this? a ship',
  ],
  ['escapes', [{ role: 'user', content: 'a "mark"\nof \u00e4 ship' }], 'a  mark  of ä ship'],
])('of a prompt, what was written last is found: %s', (_, value, text) => {
  expect(lastTextOf(tailOf(value))).toBe(text);
});

test('wherever the bytes begin, the end of a long last text is found and nothing of the structure', () => {
  const words = Array.from({ length: 40 }, (_, at) => `w${at}`).join(' ');
  const prompt = [
    { role: 'assistant', content: 'To the mark.' },
    { role: 'user', content: words },
  ];
  const behind = JSON.stringify(prompt).indexOf('},');
  for (let bytes = 5; bytes < JSON.stringify(prompt).length - behind; bytes++) {
    const text = lastTextOf(tailOf(prompt, bytes));
    // The quote, brace and bracket after the text are the last three bytes. A role whose key was cut off cannot be told from text.
    expect(text.replace(/^u?s?e?r? /, '').trim()).toBe(words.slice(Math.max(0, words.length - (bytes - 3))).trim());
  }
});

test('bytes of any kind are answered with some text, never with an error', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => typeof lastTextOf(bytes) === 'string'));
});
