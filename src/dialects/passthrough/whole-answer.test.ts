import { expect, test } from 'vitest';
import type { Dialect } from '#contracts/record';
import { readWholeAnswer } from './whole-answer.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const read = (dialect: Dialect, body: Uint8Array) =>
  readWholeAnswer(dialect, body, ({ start, end }) => new TextDecoder().decode(body.subarray(start, end)));

test("an Anthropic answer gives its usage, its stop reason and the place of the model's name", () => {
  const body =
    '{"content":[{"model":"no"}], "model" : "up","stop_reason":"tool_use","usage":{"input_tokens":3,"cache_read_input_tokens":9,"output_tokens":4}}';
  const answer = read('anthropic', bytes(body));
  expect(answer).toMatchObject({ stopReason: 'tool_use', usage: { input: 3, cacheRead: 9, output: 4 } });
  expect(body.slice(answer!.model!.start, answer!.model!.end)).toBe('"up"');
});

test('an OpenAI answer counts cached tokens beside the others, as we do', () => {
  const usage = '"usage":{"prompt_tokens":12,"prompt_tokens_details":{"cached_tokens":9},"completion_tokens":4}';
  expect(read('openai_chat', bytes(`{"choices":[{"finish_reason":"length"}],${usage}}`))).toMatchObject({
    usage: { input: 3, cacheRead: 9, output: 4 },
    stopReason: 'length',
    model: null,
  });
});

test('the choices of a very long chat answer are not parsed for a stop reason', () => {
  const body = `{"choices":[{"message":{"content":"${'a'.repeat(100_000)}"},"finish_reason":"stop"}],"usage":{"completion_tokens":4}}`;
  expect(read('openai_chat', bytes(body))).toMatchObject({ stopReason: null, usage: { output: 4 } });
});

test('a Responses answer says by its status how it ended', () => {
  expect(read('openai_responses', bytes('{"status":"incomplete","usage":{"input_tokens":1,"output_tokens":2}}'))).toMatchObject({
    stopReason: 'incomplete',
    usage: { input: 1, output: 2 },
  });
});

test.each(['', 'null', '[]', '"text"', '{"model":', '{"model":"a"}}', '<html>', '{"model":"a","model":"b"}'])(
  '%j is not passed on as an answer',
  (body) => {
    expect(read('anthropic', bytes(body))).toBeNull();
  },
);

test('an answer that says nothing of usage says nothing, rather than zero', () => {
  expect(read('anthropic', bytes('{"usage":{"input_tokens":"7","output_tokens":-1}}'))!.usage).toEqual({});
  expect(read('openai_chat', bytes('{"usage":null,"choices":null,"model":7}'))).toEqual({
    usage: {},
    stopReason: null,
    model: null,
  });
});
