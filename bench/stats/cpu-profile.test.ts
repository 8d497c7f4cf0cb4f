import { expect, test } from 'vitest';
import { moduleOf, selfTimes } from './cpu-profile.ts';

test.each([
  ['', '(native and V8)'],
  ['node:internal/streams/writable', 'node:internal/streams/writable'],
  ['file:///somewhere/node_modules/undici/lib/dispatcher/client-h1.js', 'undici'],
  ['file:///somewhere/node_modules/a/node_modules/@hono/node-server/dist/index.mjs', '@hono/node-server'],
  ['file:///somewhere/plimsoll/src/gateway/handle.ts', 'src/gateway/handle.ts'],
])('code at "%s" belongs to %s', (url, module) => {
  expect(moduleOf(url)).toBe(module);
});

test('self time is summed by function, and idling is no work', () => {
  const node = (id: number, functionName: string, url: string) => ({ id, callFrame: { functionName, url, lineNumber: 9 } });
  const profile = {
    nodes: [node(1, 'writev', ''), node(2, 'handle', 'file:///x/src/gateway/handle.ts'), node(3, '(idle)', '')],
    samples: [1, 2, 3, 2, 1],
    timeDeltas: [100, 300, 9000, 50, 100],
  };
  expect(selfTimes(profile)).toEqual([
    { module: 'src/gateway/handle.ts', name: 'handle:10', selfUs: 350 },
    { module: '(native and V8)', name: 'writev', selfUs: 200 },
  ]);
});
