import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createJsonScanner, scanJson, wantedFields, type ScanOptions } from './json-scanner.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const options: ScanOptions = { depthMax: 32, valuesMax: 10_000, wanted: wantedFields('model', 'stream', 'metadata') };
const scan = (text: string, more: Partial<ScanOptions> = {}) => scanJson(bytes(text), { ...options, ...more });
const sliceOf = (text: string, key: string): string | undefined => {
  const outcome = scan(text);
  const span = outcome.kind === 'fields' ? outcome.fields.get(key) : undefined;
  return span && new TextDecoder().decode(bytes(text).subarray(span.start, span.end));
};

const anyJson = fc.jsonValue({ maxDepth: 4 });
const anyObject = fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('model', 'stream', 'metadata')), anyJson);
const layouts = fc.constantFrom(undefined, 1, '\t', '\n  ');

describe('the JSON scanner', () => {
  test('finds every wanted field where it stands, in any layout', () => {
    fc.assert(
      fc.property(anyObject, layouts, (object, layout) => {
        const text = JSON.stringify(object, null, layout);
        for (const key of options.wanted.names) {
          const found = sliceOf(text, key);
          if (Object.hasOwn(object, key)) expect(JSON.parse(found ?? 'missing')).toEqual(JSON.parse(JSON.stringify(object[key])));
          else expect(found).toBeUndefined();
        }
      }),
    );
  });

  test('answers the same however the bytes are cut', () => {
    fc.assert(
      fc.property(anyObject, layouts, fc.array(fc.nat(400)), (object, layout, cuts) => {
        const all = bytes(JSON.stringify(object, null, layout));
        const scanner = createJsonScanner(options);
        let from = 0;
        for (const cut of [...cuts].sort((a, b) => a - b).concat(all.length)) {
          const to = Math.min(Math.max(cut, from), all.length);
          expect(scanner.push(all.subarray(from, to))).toBeNull();
          from = to;
        }
        expect(scanner.end()).toEqual(scanJson(all, options));
      }),
    );
  });

  test('accepts exactly what JSON.parse accepts, over mutated documents', () => {
    fc.assert(
      fc.property(
        anyObject,
        fc.nat(200),
        fc.constantFrom('"', '\\', '{', ']', ',', ':', '0', '-', 'e', '.', 'n', ' ', '\u0001', 'u'),
        (object, at, wedge) => {
          const whole = JSON.stringify(object);
          const cut = Math.min(at, whole.length);
          const text = whole.slice(0, cut) + wedge + whole.slice(cut);
          let parsed: unknown;
          let isJson = true;
          try {
            parsed = JSON.parse(text);
          } catch {
            isJson = false;
          }
          const isObject = isJson && typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed);
          const outcome = scan(text);
          if (outcome.kind === 'duplicate_key') return;
          expect(outcome.kind === 'fields').toBe(isObject);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test.each(['0', '-0', '1.5', '1e5', '-1E-7', '12.0e+3', '10'])('number %s is JSON', (number) => {
    expect(scan(`{"stream":${number}}`).kind).toBe('fields');
    expect(sliceOf(`{"stream":${number} }`, 'stream')).toBe(number);
  });
  test.each(['01', '-', '1.', '.5', '1e', '1e+', '+1', '0x1', 'NaN', 'tru', 'nul', 'truee'])('%s is not', (number) => {
    expect(scan(`{"a":${number}}`).kind).toBe('malformed');
  });
  test.each([
    '',
    ' ',
    '[]',
    '"x"',
    '3',
    '{"a":1}{',
    '{"a":1,}',
    '{,}',
    '{"a"}',
    '{"a":1]',
    '[1}',
    '{"a":[1,]}',
    '{"a":"\\x"}',
    '{"a":"\\u12g4"}',
  ])('%j is refused', (text) => expect(scan(text).kind).not.toBe('fields'));

  test('long strings end where they end, with escapes and cuts anywhere', () => {
    const long = fc.array(fc.oneof(fc.string({ minLength: 60, maxLength: 300 }), fc.constantFrom('\\', '"', '\n', 'é', '😀')), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(long, fc.array(fc.nat(3000), { maxLength: 5 }), (parts, cuts) => {
        const all = bytes(JSON.stringify({ content: parts.join(''), model: parts.join('').slice(0, 100), stream: true }));
        const scanner = createJsonScanner(options);
        let from = 0;
        for (const cut of [...cuts].sort((a, b) => a - b).concat(all.length)) {
          const to = Math.min(Math.max(cut, from), all.length);
          expect(scanner.push(all.subarray(from, to))).toBeNull();
          from = to;
        }
        const outcome = scanner.end();
        const span = outcome.kind === 'fields' ? outcome.fields.get('model') : undefined;
        expect(span && JSON.parse(new TextDecoder().decode(all.subarray(span.start, span.end)))).toBe(
          parts.join('').slice(0, 100),
        );
        expect(outcome.kind === 'fields' && outcome.fields.get('stream')?.type).toBe('true');
      }),
    );
  });

  test('a wanted key that is given twice is refused, even when one is written with escapes', () => {
    expect(scan('{"model":"a","model":"b"}')).toMatchObject({ kind: 'duplicate_key', key: 'model' });
    expect(scan('{"model":"a","m\\u006fdel":"b"}')).toMatchObject({ kind: 'duplicate_key', key: 'model' });
    expect(sliceOf('{"m\\u006fdel":"b"}', 'model')).toBe('"b"');
    expect(scan('{"other":1,"other":2,"x":{"model":1},"model":"a"}').kind).toBe('fields');
  });

  test('nesting and counts are refused at the bound, not after the whole body', () => {
    const scanner = createJsonScanner(options);
    expect(scanner.push(bytes('{"a":' + '['.repeat(40)))).toMatchObject({ kind: 'too_deep', at: 5 + 31 });
    expect(scan('{"a":[' + '[],'.repeat(20_000) + '1]}')).toMatchObject({ kind: 'too_many_values' });
    expect(scan('{"a":' + '['.repeat(31) + ']'.repeat(31) + '}').kind).toBe('fields');
  });
});
