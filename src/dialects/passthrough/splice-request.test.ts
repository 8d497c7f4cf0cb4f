import fc from 'fast-check';
import { expect, test } from 'vitest';
import { scanJson } from '../scan/json-scanner.ts';
import { ASKED_FIELDS } from './read-asked.ts';
import { spliceRequest, type RequestSplices } from './splice-request.ts';

/** A body after its splices, as text. */
function spliced(body: string, splices: RequestSplices): string {
  const bytes = new TextEncoder().encode(body);
  const scanned = scanJson(bytes, { depthMax: 64, valuesMax: 10_000, wanted: ASKED_FIELDS });
  if (scanned.kind !== 'fields') throw new Error(scanned.kind);
  const own = (JSON.parse(body) as { stream_options?: unknown }).stream_options ?? undefined;
  const decoder = new TextDecoder();
  let out = '';
  let from = 0;
  for (const { start, end, text } of spliceRequest(scanned.fields, splices, {
    bodyEnd: bytes.lastIndexOf(0x7d),
    streamOptions: own,
  })) {
    expect(start).toBeGreaterThanOrEqual(from);
    out += decoder.decode(bytes.subarray(from, start)) + text;
    from = end;
  }
  return out + decoder.decode(bytes.subarray(from));
}

test.each([
  ['{"model":"a","x":1}', '{"model":"up","x":1,"stream_options":{"include_usage":true}}'],
  [' { "x" : "model" , "model" : "a" } \n', ' { "x" : "model" , "model" : "up" ,"stream_options":{"include_usage":true}} \n'],
  ['{"stream_options":null,"model":"a"}', '{"stream_options":{"include_usage":true},"model":"up"}'],
  [
    '{"model":"a","stream_options":{"include_usage":false,"b":[1]}}',
    '{"model":"up","stream_options":{"include_usage":true,"b":[1]}}',
  ],
])('%s becomes %s', (before, after) => {
  expect(spliced(before, { upstreamModel: 'up', askUsage: true })).toBe(after);
});

test('nothing to change changes nothing', () => {
  const body = '{ "model":"a",\t"stream":true }';
  expect(spliced(body, { upstreamModel: null, askUsage: false })).toBe(body);
});

test('whatever else stands in a body, splices change the two fields and leave the meaning of all others', () => {
  const others = fc.dictionary(
    fc.string({ minLength: 1 }).filter((key) => key !== '__proto__' && !ASKED_FIELDS.names.has(key)),
    fc.jsonValue(),
  );
  const space = fc.constantFrom(undefined, 1, '\t');
  fc.assert(
    fc.property(others, fc.string(), fc.string(), space, (fields, model, upstreamModel, indent) => {
      const body = JSON.stringify({ ...fields, model }, null, indent);
      const after = JSON.parse(spliced(body, { upstreamModel, askUsage: true })) as object;
      expect(after).toEqual({ ...(JSON.parse(body) as object), model: upstreamModel, stream_options: { include_usage: true } });
    }),
  );
});
