import type { System } from './system.ts';

/** No gateway: the load generator talks to the mock upstream. What every latency is compared with. */
export const direct: System = {
  name: 'direct',
  about: 'no gateway: the load generator talks to the mock upstream',
  dialects: ['anthropic', 'openai'],
  start: ({ upstreamPort }) => Promise.resolve({ pid: null, port: upstreamPort, version: '', stop: () => Promise.resolve() }),
};
