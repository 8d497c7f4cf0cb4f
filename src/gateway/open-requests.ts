import type { Life } from './life.ts';
import type { Topology } from './topology.ts';

/**
 * The requests being served, and the topology each began with.
 *
 * An array with a place in it for each, not a Map: a Map whose entries come and go is made anew every few dozen of them, and each
 * old one points at the next. Once one has been promoted, the chain keeps every request alive until the next full collection:
 * seen as 10 MB promoted by each scavenge at 10,000 requests a second, and a tenth of the core (docs/performance.md).
 */
export interface OpenRequests {
  add(life: Life, topology: Topology): void;
  /** @returns the topology that the request began with */
  remove(life: Life): Topology;
  count(): number;
  all(): readonly Life[];
  isUsing(topology: Topology): boolean;
}

export function createOpenRequests(): OpenRequests {
  const lives: Life[] = [];
  const topologies: Topology[] = [];
  return {
    add(life, topology) {
      life.openIndex = lives.length;
      lives.push(life);
      topologies.push(topology);
    },
    remove(life) {
      const index = life.openIndex;
      const topology = topologies[index] as Topology;
      const lastLife = lives.pop() as Life;
      const lastTopology = topologies.pop() as Topology;
      if (lastLife !== life) {
        lives[index] = lastLife;
        topologies[index] = lastTopology;
        lastLife.openIndex = index;
      }
      return topology;
    },
    count: () => lives.length,
    all: () => lives.slice(),
    isUsing: (topology) => topologies.includes(topology),
  };
}
