import fc from 'fast-check';
import { expect, test } from 'vitest';
import { gatherBody } from './gather.ts';

test('pieces of any size come out as one body, whatever length was declared', () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 20 });
  fc.assert(
    fc.property(pieces, fc.option(fc.nat(2_000)), (parts, declared) => {
      const gathering = gatherBody(declared);
      for (const part of parts) gathering.add(Buffer.from(part));
      expect(gathering.whole().equals(Buffer.concat(parts))).toBe(true);
    }),
  );
});

test('a body in one piece is the piece itself', () => {
  const piece = Buffer.from('{"model":"harbor-1"}');
  const gathering = gatherBody(piece.length);
  gathering.add(piece);
  expect(gathering.whole().buffer).toBe(piece.buffer);
  expect(gathering.whole().byteOffset).toBe(piece.byteOffset);
});

test('what was gathered does not write into the piece it began with', () => {
  const slab = Buffer.from('abcdef');
  const gathering = gatherBody(null);
  gathering.add(slab.subarray(0, 2));
  gathering.add(Buffer.from('XY'));
  expect(gathering.whole().toString()).toBe('abXY');
  expect(slab.toString()).toBe('abcdef');
});
