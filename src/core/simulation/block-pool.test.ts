import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Block, createBlockPool } from './block-pool.ts';

/** A sequence named `name`, computed from nothing: `count` full blocks. */
function fill(pool: ReturnType<typeof createBlockPool>, name: string, count: number): Block[] {
  return Array.from({ length: count }, (_, index) => {
    const block = pool.allocate();
    pool.seal(block, `${name}${index}`);
    return block;
  });
}
const keys = (name: string, count: number) => Array.from({ length: count }, (_, index) => `${name}${index}`);

test('a released prefix is found again, and only up to its first missing block', () => {
  const pool = createBlockPool(8);
  pool.release(fill(pool, 'a', 3));
  const taken = pool.take(['a0', 'a1', 'x', 'a2']);
  expect(taken.map(({ key }) => key)).toEqual(['a0', 'a1']);
  expect(pool.counts()).toEqual({ used: 2, kept: 1, capacity: 8 });
});

test('the tail of a sequence is evicted before its head', () => {
  const pool = createBlockPool(4);
  pool.release(fill(pool, 'a', 4));
  pool.release(fill(pool, 'b', 1));
  expect(pool.take(keys('a', 4)).map(({ key }) => key)).toEqual(['a0', 'a1', 'a2']);
});

test('the sequence unused for longest is evicted first', () => {
  const pool = createBlockPool(4);
  pool.release(fill(pool, 'a', 2));
  pool.release(fill(pool, 'b', 2));
  pool.release(pool.take(keys('a', 2)));
  pool.release(fill(pool, 'c', 2));
  expect(pool.take(keys('b', 2))).toEqual([]);
  expect(pool.take(keys('a', 2)).length).toBe(2);
});

test('what is in use is never evicted', () => {
  const pool = createBlockPool(2);
  fill(pool, 'a', 2);
  expect(() => pool.allocate()).toThrow('every block is in use');
});

test('whatever is done to a pool, it never holds more than its capacity and counts every use once', () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant('fill' as const),
      name: fc.constantFrom('a', 'b', 'c'),
      count: fc.integer({ min: 1, max: 4 }),
    }),
    fc.record({
      kind: fc.constant('take' as const),
      name: fc.constantFrom('a', 'b', 'c'),
      count: fc.integer({ min: 1, max: 4 }),
    }),
    fc.record({ kind: fc.constant('release' as const), which: fc.nat(5) }),
    fc.record({ kind: fc.constant('clear' as const) }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.array(step, { maxLength: 40 }), (capacity, steps) => {
      const pool = createBlockPool(capacity);
      const held: Block[][] = [];
      for (const one of steps) {
        if (one.kind === 'fill' && one.count <= capacity - pool.counts().used) held.push(fill(pool, one.name, one.count));
        if (one.kind === 'take') held.push(pool.take(keys(one.name, one.count)));
        if (one.kind === 'release') pool.release(held.splice(one.which, 1)[0] ?? []);
        if (one.kind === 'clear') pool.clear();
        const { used, kept } = pool.counts();
        expect(used + kept).toBeLessThanOrEqual(capacity);
        expect(used).toBe(new Set(held.flat()).size);
      }
    }),
  );
});
