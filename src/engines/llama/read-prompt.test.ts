import { expect, test } from 'vitest';
import type { Part, Prompt } from '#contracts/prompt';
import { readPrompt } from './read-prompt.ts';
import { promptOf } from './test-prompt.fixture.ts';

test('system text comes first, and the parts of a turn are joined by a line break', () => {
  const prompt = promptOf([], {
    system: [
      { kind: 'text', text: 'Be brief.' },
      { kind: 'text', text: 'Be kind.' },
    ],
    turns: [
      {
        role: 'user',
        parts: [
          { kind: 'text', text: 'a' },
          { kind: 'text', text: 'b' },
        ],
      },
      { role: 'assistant', parts: [{ kind: 'refusal', text: 'no' }] },
    ],
  });
  expect(readPrompt(prompt)).toEqual({
    ok: true,
    value: {
      grammar: null,
      messages: [
        { role: 'system', content: 'Be brief.\nBe kind.' },
        { role: 'user', content: 'a\nb' },
        { role: 'assistant', content: 'no' },
      ],
    },
  });
});

const withPart = (part: Part): Partial<Prompt> => ({ turns: [{ role: 'user', parts: [part] }] });

test.each<[string, Partial<Prompt>]>([
  ['tools', { tools: [{ name: 'weather', schema: {} }] }],
  ['thinking', { thinking: { kind: 'adaptive' } }],
  ['schema.pattern', { outputFormat: { kind: 'json_schema', name: 'a', schema: { type: 'string', pattern: 'x' } } }],
  ['thinking', { thinking: { kind: 'effort', effort: 'low' } }],
  ['images', withPart({ kind: 'image', source: { kind: 'url', url: 'https://example.com/a.png' } })],
  ['documents', withPart({ kind: 'document', source: { kind: 'text', text: 'x' } })],
  ['tool calls', withPart({ kind: 'tool_call', id: 'a', name: 'b', arguments: '{}' })],
  ['tool results', withPart({ kind: 'tool_result', callId: 'a', parts: [] })],
  ['thinking blocks', withPart({ kind: 'thinking', text: 'x' })],
  ['at least one message', { turns: [] }],
  ['stop_sequences.0', { stopSequences: [''] }],
  ['stop_sequences.1', { stopSequences: ['ok', '\uD83E'] }],
  ['stop_sequences.0', { stopSequences: ['x'.repeat(1025)] }],
  ['stop_sequences: 65', { stopSequences: Array.from({ length: 65 }, (_, at) => `${at}`) }],
  ['temperature', { temperature: -1 }],
  ['top_p', { topP: 1.1 }],
  ['max_tokens', { maxOutputTokens: 0 }],
])('what cannot be done is a 400 that names it: %s', (named, more) => {
  expect(readPrompt(promptOf(['x'], more))).toMatchObject({
    ok: false,
    error: { status: 400, type: 'invalid_request_error', message: expect.stringContaining(named) },
  });
});

test('thinking that is switched off is nothing to refuse', () => {
  expect(readPrompt(promptOf(['x'], { thinking: { kind: 'disabled' } })).ok).toBe(true);
  expect(readPrompt(promptOf(['x'], { thinking: { kind: 'effort', effort: 'none' } })).ok).toBe(true);
});
