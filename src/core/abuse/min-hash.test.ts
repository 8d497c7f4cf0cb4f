import { expect, test } from 'vitest';
import { createKeyedHash } from './keyed-hash.ts';
import { createTextSketcher, equalBytes, equalBytesFor, SIGNATURE_WORDS, similarity } from './min-hash.ts';

/** Two texts whose shingle sets are known: `shared` words in common, then words of their own. */
function pair(seed: number, shared: number, own: number): { left: string; right: string; jaccard: number } {
  const words = (name: string, count: number): string[] =>
    Array.from({ length: count }, (_, at) => `${name}${letters(seed * 1000 + at)}`);
  const left = [...words('s', shared), ...words('l', own)];
  const right = [...words('s', shared), ...words('r', own)];
  const shingles = (list: string[]): Set<string> => new Set(list.slice(2).map((_, at) => list.slice(at, at + 3).join(' ')));
  const [a, b] = [shingles(left), shingles(right)];
  const common = [...a].filter((shingle) => b.has(shingle)).length;
  return { left: left.join(' '), right: right.join(' '), jaccard: common / (a.size + b.size - common) };
}
const letters = (value: number): string => Array.from(String(value), (digit) => String.fromCharCode(97 + Number(digit))).join('');

// 4 × 150 pairs of texts: some 100 ms.
test.each([
  { shared: 100, own: 4 },
  { shared: 80, own: 20 },
  { shared: 60, own: 30 },
  { shared: 30, own: 70 },
])('similarity has no bias and the stated standard error ($shared shared words, $own of their own)', ({ shared, own }) => {
  const errors: number[] = [];
  let stated = 0;
  const pairs = 150;
  for (let seed = 0; seed < pairs; seed++) {
    const sketcher = createTextSketcher(createKeyedHash([seed, 77]));
    const { left, right, jaccard } = pair(seed, shared, own);
    const estimate = similarity(sketcher.signature(left)!, sketcher.signature(right)!);
    errors.push(estimate.ratio - jaccard);
    stated = Math.sqrt((jaccard * (1 - jaccard)) / 64);
  }
  const mean = errors.reduce((sum, error) => sum + error, 0) / pairs;
  const rms = Math.sqrt(errors.reduce((sum, error) => sum + error * error, 0) / pairs);
  expect(Math.abs(mean)).toBeLessThan((4 * stated) / Math.sqrt(pairs));
  expect(rms).toBeLessThan(stated * (1 + 4 / Math.sqrt(2 * pairs)));
  expect(rms).toBeGreaterThan(stated * (1 - 4 / Math.sqrt(2 * pairs)));
});

test('prompts that differ in numbers and case alone are the same, others share nothing', () => {
  const sketcher = createTextSketcher(createKeyedHash([1, 2]));
  const ask = (text: string): Uint32Array => sketcher.signature(text)!;
  const one = ask('Grade answer 17 of task 3 by the rubric, and give reasons.');
  expect(similarity(one, ask('grade answer 18 of task 4 by the rubric and give reasons'))).toEqual({
    ratio: 1,
    standardErrorRatio: 0,
  });
  expect(similarity(one, ask('What is the tide at the north pier this evening, please?')).ratio).toBeLessThan(0.1);
});

test('nothing could be told of fewer than three words', () => {
  const sketcher = createTextSketcher(createKeyedHash([1, 2]));
  expect(['', 'hi', 'hello there!', '…'].map((text) => sketcher.signature(text))).toEqual([null, null, null, null]);
  expect(sketcher.signature('one two three')).toHaveLength(SIGNATURE_WORDS);
});

test('equal bytes are counted, and the count that a similarity needs is the least that reaches it', () => {
  expect([0, 0x01, 0x80000000, 0x00ff00ff, 0x01010101, 0xffffffff].map(equalBytes)).toEqual([4, 3, 3, 2, 0, 0]);
  for (const ratio of [0.1, 0.25, 0.5, 0.75, 0.9]) {
    const at = (equal: number): number => (equal / 64 - 1 / 256) / (1 - 1 / 256);
    expect(at(equalBytesFor(ratio))).toBeGreaterThanOrEqual(ratio);
    expect(at(equalBytesFor(ratio) - 1)).toBeLessThan(ratio);
  }
});

test('a long text costs no more than its beginning', () => {
  const sketcher = createTextSketcher(createKeyedHash([1, 2]));
  const beginning = Array.from({ length: 128 }, (_, at) => letters(at + 100)).join(' ');
  expect(sketcher.signature(`${beginning} and more that is not looked at`)).toEqual(sketcher.signature(beginning));
});
