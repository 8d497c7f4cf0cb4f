import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Life } from './life.ts';
import { createOpenRequests } from './open-requests.ts';
import type { Topology } from './topology.ts';

test('open requests are exactly those added and not removed, each with the topology it began with', () => {
  const topologies = [0, 1, 2].map(() => ({}) as Topology);
  fc.assert(
    fc.property(fc.array(fc.record({ adds: fc.boolean(), pick: fc.nat(1000), topology: fc.nat(2) })), (steps) => {
      const open = createOpenRequests();
      const expected = new Map<Life, Topology>();
      for (const { adds, pick, topology } of steps) {
        if (adds || expected.size === 0) {
          const life = { openIndex: -1 } as Life;
          const began = topologies[topology] as Topology;
          open.add(life, began);
          expected.set(life, began);
        } else {
          const life = [...expected.keys()][pick % expected.size] as Life;
          expect(open.remove(life)).toBe(expected.get(life));
          expected.delete(life);
        }
        expect(open.count()).toBe(expected.size);
        expect(new Set(open.all())).toEqual(new Set(expected.keys()));
        for (const one of topologies) expect(open.isUsing(one)).toBe([...expected.values()].includes(one));
      }
    }),
    { numRuns: 200 },
  );
});
