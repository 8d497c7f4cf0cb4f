import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createDistinctCounter, EXACT_MAX } from './hyper-log-log.ts';
import { createKeyedHash } from './keyed-hash.ts';

const SKETCHES = 120;

// 120 sketches of up to 20,000 hashes: the one property that this file is about, so it may take some 300 ms.
test.each([
  { registerBits: 8, stated: 0.065 },
  { registerBits: 10, stated: 0.0325 },
])(
  'the error of a count with 2^$registerBits registers is the stated $stated at every size, and has no bias',
  ({ registerBits, stated }) => {
    const counter = createDistinctCounter(registerBits);
    expect(counter.standardErrorRatio).toBeCloseTo(stated, 4);
    const sizes = [33, 100, 400, 640, 1_000, 2_500, 10_000];
    const errors = sizes.map(() => [] as number[]);
    for (let seed = 0; seed < SKETCHES; seed++) {
      const hash = createKeyedHash([seed, registerBits]);
      const memory = new Uint32Array(counter.wordCount);
      const word = [0];
      for (let at = 0, next = 0; next < sizes.length;) {
        word[0] = ++at;
        counter.add(memory, 0, hash.words(word, 1));
        if (at === sizes[next]) errors[next++]?.push(counter.count(memory, 0) / at - 1);
      }
    }
    for (const [place, list] of errors.entries()) {
      const mean = list.reduce((sum, error) => sum + error, 0) / list.length;
      const rms = Math.sqrt(list.reduce((sum, error) => sum + error * error, 0) / list.length);
      // Four standard errors of a mean, and of a root mean square, over this many sketches.
      // And half a unit, since an estimate is rounded to a whole count.
      const half = 0.5 / (sizes[place] as number);
      expect(Math.abs(mean), `bias at ${sizes[place]}`).toBeLessThan((4 * stated) / Math.sqrt(SKETCHES) + half);
      expect(rms, `error at ${sizes[place]}`).toBeLessThan(stated * (1 + 4 / Math.sqrt(2 * SKETCHES)));
    }
  },
);

test('a set of at most 32 is counted exactly, however often its members come', () => {
  const counter = createDistinctCounter(8);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: EXACT_MAX - 1 }), { maxLength: 200 }), (items) => {
      const memory = new Uint32Array(counter.wordCount);
      const hash = createKeyedHash([7, 9]);
      for (const item of items) counter.add(memory, 0, hash.words([item], 1));
      expect(counter.count(memory, 0)).toBe(new Set(items).size);
      expect(counter.isExact(memory, 0)).toBe(true);
    }),
  );
});

test('merged sketches are the sketch of the union, whichever of them are still exact', () => {
  const counter = createDistinctCounter(8);
  const items = fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 400 });
  const hash = createKeyedHash([3, 4]);
  const sketch = (list: readonly number[]): Uint32Array => {
    const memory = new Uint32Array(counter.wordCount);
    for (const item of list) counter.add(memory, 0, hash.words([item], 1));
    return memory;
  };
  fc.assert(
    fc.property(items, items, (left, right) => {
      const whole = sketch([...left, ...right]);
      const merged = sketch(left);
      counter.merge(merged, 0, sketch(right), 0);
      expect(counter.count(merged, 0)).toBe(counter.count(whole, 0));
      const both = new Uint32Array(2 * counter.wordCount);
      both.set(sketch(left));
      both.set(sketch(right), counter.wordCount);
      expect(counter.countUnion(both, 0, counter.wordCount)).toEqual({
        count: counter.count(whole, 0),
        isExact: new Set([...left, ...right]).size <= EXACT_MAX,
      });
    }),
  );
});

test('a sketch of 256 registers takes 176 bytes, and leaves its neighbors alone', () => {
  const counter = createDistinctCounter(8);
  expect(counter.wordCount * 4).toBe(176);
  const memory = new Uint32Array(counter.wordCount + 2).fill(0xffff_ffff);
  memory.fill(0, 1, 1 + counter.wordCount);
  const hash = createKeyedHash([1, 1]);
  for (let at = 0; at < 5_000; at++) counter.add(memory, 1, hash.words([at], 1));
  expect([memory[0], memory.at(-1)]).toEqual([0xffff_ffff, 0xffff_ffff]);
});
