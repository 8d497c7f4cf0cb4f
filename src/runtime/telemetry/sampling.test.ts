import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createSystemRandom } from '../random.ts';
import { isSampled } from './sampling.ts';

const ids = fc.stringMatching(/^req_[0-9a-f]{24}$/);
const ratios = fc.double({ min: 0, max: 1, noNaN: true });
const parentOf = (sampled: boolean) => ({ traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), isSampled: sampled });

test('a caller that decided is followed, whatever the ratio', () => {
  fc.assert(
    fc.property(ids, ratios, fc.boolean(), (id, ratio, sampled) => {
      expect(isSampled(id, { parent: parentOf(sampled), ratio })).toBe(sampled);
    }),
  );
});

test('without a caller that decided, 0 takes nothing, 1 takes everything, and a larger ratio takes no request less', () => {
  fc.assert(
    fc.property(ids, ratios, ratios, (id, one, other) => {
      const at = (ratio: number) => isSampled(id, { parent: null, ratio });
      expect([at(0), at(1)]).toEqual([false, true]);
      if (at(Math.min(one, other))) expect(at(Math.max(one, other))).toBe(true);
    }),
  );
});

test('about a tenth of random ids is taken at 0.1', () => {
  const random = createSystemRandom();
  const taken = Array.from({ length: 20_000 }, () => isSampled(`req_${random.hex(12)}`, { parent: null, ratio: 0.1 }));
  // Twelve standard deviations: fails by chance less often than the machine breaks.
  expect(Math.abs(taken.filter(Boolean).length - 2_000)).toBeLessThan(510);
});
