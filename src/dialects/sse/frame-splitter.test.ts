import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createFrameSplitter, FrameTooLarge, readData, readFrame } from './frame-splitter.ts';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

const event = fc
  .record({
    name: fc.constantFrom('', 'ping', 'content_block_delta'),
    data: fc.string({ unit: 'binary' }),
    newline: fc.constantFrom('\n', '\r\n'),
  })
  .map(({ name, data, newline }) => {
    const line = data.replaceAll(/[\r\n]/g, '·');
    return { name, line, text: `${name ? `event: ${name}${newline}` : ''}data: ${line}${newline}${newline}` };
  });

function feed(
  all: Uint8Array,
  cuts: readonly number[],
): { frames: { name: string; data: string }[]; pending: number; passed: string } {
  const splitter = createFrameSplitter({ frameBytesMax: 1 << 20 });
  const frames: { name: string; data: string }[] = [];
  let passed = '';
  let from = 0;
  for (const cut of [...cuts].sort((a, b) => a - b).concat(all.length)) {
    const to = Math.min(Math.max(cut, from), all.length);
    // A copy: the socket's own buffer may be used again.
    const run = splitter.push(all.slice(from, to));
    from = to;
    if (!run) continue;
    passed += decode(run.bytes);
    let start = 0;
    for (const end of run.ends) {
      const { name, dataStart, dataEnd } = readFrame(run.bytes, start, end);
      frames.push({ name, data: decode(run.bytes.subarray(dataStart, dataEnd)) });
      start = end;
    }
  }
  return { frames, pending: splitter.pendingBytes(), passed };
}

describe('the server-sent event splitter', () => {
  test('gives the same whole events, and the same bytes, however the stream is cut', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 8 }), fc.array(fc.nat(600), { maxLength: 30 }), (events, cuts) => {
        const text = events.map(({ text: frame }) => frame).join('');
        const result = feed(encode(text), cuts);
        expect(result.frames).toEqual(events.map(({ name, line }) => ({ name, data: line })));
        expect(result.passed).toBe(text);
        expect(result.pending).toBe(0);
      }),
    );
  });

  test('keeps back an event that has not ended', () => {
    const result = feed(encode('data: 1\n\ndata: 2\n'), [3, 11]);
    expect(result.frames).toEqual([{ name: '', data: '1' }]);
    expect(result.pending).toBe('data: 2\n'.length);
  });

  test('what it handed out does not change when more arrives', () => {
    const splitter = createFrameSplitter({ frameBytesMax: 1000 });
    splitter.push(encode('data: on'));
    const first = splitter.push(encode('e\n\ndata: tw'));
    splitter.push(encode('o!!!!!!!!!!!!!!!\n\n'));
    expect(decode(first?.bytes ?? new Uint8Array())).toBe('data: one\n\n');
  });

  test('refuses an event larger than the bound', () => {
    const splitter = createFrameSplitter({ frameBytesMax: 100 });
    splitter.push(encode('data: ' + 'x'.repeat(80)));
    expect(() => splitter.push(encode('x'.repeat(80)))).toThrow(FrameTooLarge);
  });

  test('reads data of several lines', () => {
    const bytes = encode('event: a\ndata: {\ndata: }\nid: 7\n\n');
    expect(readFrame(bytes, 0, bytes.length)).toMatchObject({ name: 'a', isMultiline: true });
    expect(readData(bytes, 0, bytes.length, decode)).toBe('{\n}');
  });
});
