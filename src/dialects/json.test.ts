import { expect, test } from 'vitest';
import { anthropicCodec } from './anthropic/codec.ts';
import { lookUp, parseJson, present } from './json.ts';

test.each<[string, string, unknown]>([
  ['JSON', '{"a":[1,"]"]}', { a: [1, ']'] }],
  ['what is not JSON', '{"a":', undefined],
  ['nesting as deep as is allowed', '['.repeat(128) + ']'.repeat(128), expect.any(Array)],
  ['nesting that is deeper', '['.repeat(129) + ']'.repeat(129), undefined],
  ['brackets inside strings, also after escapes, are not nesting', `"${'\\"['.repeat(200)}"`, '"['.repeat(200)],
])('text from outside is parsed within a bound: %s', (_, text, value) => {
  expect(parseJson(text)).toEqual(value);
});

test('arguments of a tool call that are nested a hundred thousand deep are refused, not thrown at', () => {
  const json = `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
  const prompt = {
    model: 'm',
    system: [],
    turns: [{ role: 'assistant' as const, parts: [{ kind: 'tool_call' as const, id: 'a', name: 'f', arguments: json }] }],
    tools: [],
    stopSequences: [],
    stream: false,
  };
  expect(anthropicCodec.writeRequest(prompt)).toMatchObject({ ok: false, error: { code: 'unsupported_by_engine' } });
  const reader = anthropicCodec.createEventReader();
  expect(reader.read('message_start', `{"message":${json}}`)).toMatchObject([{ kind: 'error' }]);
});

test('tables answer for their own keys only, and what is not said is left out', () => {
  expect(lookUp({ a: 1 }, 'a')).toBe(1);
  expect(lookUp({ a: 1 }, 'constructor')).toBeUndefined();
  expect(Object.keys(present({ a: 1, b: undefined, c: null }))).toEqual(['a', 'c']);
});
