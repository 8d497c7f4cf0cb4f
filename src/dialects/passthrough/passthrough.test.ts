import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Dialect } from '#contracts/record';
import { createPassthrough, type Passthrough, type PassthroughOptions } from './passthrough.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const make = (options: Partial<PassthroughOptions> & { readonly dialect: Dialect }): Passthrough =>
  createPassthrough({ model: null, dropUsage: false, frameBytesMax: 65_536, ...options });

const textOf = (pieces: readonly Uint8Array[]): string => pieces.map((piece) => decoder.decode(piece)).join('');

/** Pushes `text` cut at `cuts` and returns everything that came out, as one text. */
function through(passthrough: Passthrough, text: string, cuts: readonly number[] = []): string {
  const bytes = encoder.encode(text);
  const edges = [0, ...cuts.map((cut) => cut % bytes.length).sort((a, b) => a - b), bytes.length];
  const out: Uint8Array[] = [];
  for (let index = 1; index < edges.length; index++) out.push(...passthrough.push(bytes.slice(edges[index - 1], edges[index])));
  const joined = new Uint8Array(out.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of out) {
    joined.set(piece, at);
    at += piece.length;
  }
  return decoder.decode(joined);
}

const ending = fc.constantFrom('\n', '\r\n');
const text = fc.string({ unit: 'grapheme', maxLength: 20 }).map((words) => words.replaceAll(/[\r\n]/g, ' '));
const frame = fc.oneof(
  fc.tuple(text, ending).map(([words, end]) => `: ${words}${end}${end}`),
  fc
    .tuple(text, ending)
    .map(([words, end]) => `event: content_block_delta${end}data: ${JSON.stringify({ delta: { text: words } })}${end}${end}`),
  fc.tuple(text, text, ending).map(([a, b, end]) => `data: ${JSON.stringify(a)}${end}data: ${JSON.stringify(b)}${end}${end}`),
  fc.tuple(text, ending).map(([words, end]) => `event: something_new${end}id: 7${end}data:${words}${end}retry: 10${end}${end}`),
);

test('bytes split anywhere come out as they went in, and whole events only', () => {
  fc.assert(
    fc.property(fc.array(frame, { minLength: 1, maxLength: 8 }), fc.array(fc.nat(), { maxLength: 6 }), (frames, cuts) => {
      const passthrough = make({ dialect: 'anthropic' });
      const all = frames.join('');
      expect(through(passthrough, `${all}data: unfinis`, cuts)).toBe(all);
    }),
  );
});

test('an event is never handed on in part: what is held back comes with its end', () => {
  const passthrough = make({ dialect: 'anthropic' });
  expect(passthrough.push(encoder.encode('event: ping\ndata: {"ty'))).toEqual([]);
  expect(passthrough.push(encoder.encode('pe":"ping"}\n'))).toEqual([]);
  expect(textOf(passthrough.push(encoder.encode('\nevent: pi')))).toBe('event: ping\ndata: {"type":"ping"}\n\n');
});

test("the model's name is replaced where it stands, and nowhere else", () => {
  const start = '{"note":"\\"model\\":\\"up\\"","message":{"id":"up","model": "up" ,"content":[{"model":"up"}]}}';
  const renamed = start.replace('"model": "up"', '"model": "h\\"1"');
  const passthrough = make({ dialect: 'anthropic', model: 'h"1' });
  expect(through(passthrough, `event: message_start\ndata: ${start}\n\nevent: ping\ndata: {"model":"up"}\n\n`)).toBe(
    `event: message_start\ndata: ${renamed}\n\nevent: ping\ndata: {"model":"up"}\n\n`,
  );
});

test('a usage chunk that nobody asked for is left out of the middle of a run of chunks', () => {
  const usage = 'data: {"model":"up","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n';
  const word = 'data: {"model":"up","choices":[{"delta":{"content":"a"}}],"usage":null}\n\n';
  const passthrough = make({ dialect: 'openai_chat', model: 'harbor-1', dropUsage: true });
  expect(through(passthrough, `${word}${usage}${word}data: [DONE]\n\n`)).toBe(
    `${word}${word}data: [DONE]\n\n`.replaceAll('"up"', '"harbor-1"'),
  );
  expect(passthrough.progress).toMatchObject({ usage: { input: 3, output: 2 }, hasFinalUsage: true, isComplete: true });
});

test('a chunk that carries usage and words is passed on: only what was asked for is taken away', () => {
  const last = 'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}],"usage":{"completion_tokens":1}}\n\n';
  expect(through(make({ dialect: 'openai_chat', dropUsage: true }), last)).toBe(last);
});

test.each([
  ['anthropic', 'event: message_stop\ndata: {"type":"message_stop"}\n\n'],
  ['anthropic', 'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n'],
  ['openai_chat', 'data: [DONE]\n\n'],
  ['openai_chat', 'data: {"error":{"message":"busy","code":503}}\n\n'],
  ['openai_responses', 'event: response.completed\ndata: {"response":{"status":"completed"}}\n\n'],
  ['openai_responses', 'event: response.failed\ndata: {"response":{"error":{"code":"server_error","message":"x"}}}\n\n'],
] as const)('%s: nothing comes after %j, in the same piece or later', (dialect, last) => {
  const passthrough = make({ dialect });
  expect(through(passthrough, `${last}${last}data: {"late":true}\n\n`)).toBe(last);
  expect(passthrough.push(encoder.encode(last))).toEqual([]);
});

test('an event beyond the bound is an error, not memory', () => {
  const passthrough = make({ dialect: 'anthropic', frameBytesMax: 100 });
  expect(() => passthrough.push(encoder.encode(`data: ${'a'.repeat(200)}`))).toThrow('larger than 100 bytes');
});
