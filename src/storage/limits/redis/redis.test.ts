import { expect, test } from 'vitest';
import { judgeServer } from './refuse-to-start.ts';
import { parseRedisUrl } from './url.ts';

test.each([
  [
    'redis://store',
    { isCluster: false, isTls: false, nodes: [{ host: 'store', port: 6379 }], username: null, password: null, database: 0 },
  ],
  [
    'rediss://me:p%40ss@store:7000/3',
    { isTls: true, nodes: [{ host: 'store', port: 7000 }], username: 'me', password: 'p@ss', database: 3 },
  ],
  ['redis://:pw@[::1]:7', { nodes: [{ host: '::1', port: 7 }], username: null, password: 'pw' }],
  [
    'redis-cluster://me:pw@a:1,b',
    {
      isCluster: true,
      nodes: [
        { host: 'a', port: 1 },
        { host: 'b', port: 6379 },
      ],
      password: 'pw',
    },
  ],
  ['rediss-cluster://a:1', { isCluster: true, isTls: true }],
])('%s is understood, and shown without credentials', (url, expected) => {
  const parsed = parseRedisUrl(url);
  expect(parsed).toMatchObject({ ok: true, value: expected });
  expect(parsed.ok && parsed.value.shown).not.toMatch(/pw|p@ss|me/);
});

test.each([
  'http://store',
  'redis://',
  'redis://a:1,b:2',
  'redis://store:0',
  'redis://store:65536',
  'redis-cluster://a:1/2',
  'redis://:secret%@store',
  'redis://store/0?secret=1',
])('%s is refused, and none of it is repeated', (url) => {
  const parsed = parseRedisUrl(url);
  expect(parsed.ok).toBe(false);
  expect(JSON.stringify(parsed)).not.toContain('secret');
});

const INFO = {
  redis_version: '7.0.15',
  redis_mode: 'standalone',
  role: 'master',
  maxmemory: '0',
  maxmemory_policy: 'noeviction',
};
const judged = (more: Partial<typeof INFO>, isCluster = false, without?: string): string => {
  const lines = Object.entries({ ...INFO, ...more }).filter(([name]) => name !== without);
  const info = `# Server\r\n${lines.map(([name, value]) => `${name}:${value}\r\n`).join('')}`;
  return judgeServer(info, { isCluster, place: 'here' })?.kind ?? 'holds';
};

test('what a server says of itself decides whether limits hold there', () => {
  expect(judged({})).toBe('holds');
  expect(judged({ redis_version: '6.2.14' })).toBe('too_old');
  expect(judged({ redis_mode: 'cluster' })).toBe('is_cluster');
  expect(judged({ redis_mode: 'cluster' }, true)).toBe('holds');
  expect(judged({}, true)).toBe('is_not_cluster');
  expect(judged({ redis_mode: 'sentinel' })).toBe('could_not_tell');
  expect(judged({ role: 'slave' })).toBe('read_only');
  expect(judged({ maxmemory_policy: 'allkeys-lru' })).toBe('holds');
  expect(judged({ maxmemory: '1000', maxmemory_policy: 'volatile-lfu' })).toBe('evicts');
  expect(judged({ maxmemory: '1000' })).toBe('holds');
});

test('what it does not say is never taken for well', () => {
  for (const name of Object.keys(INFO)) expect(judged({}, false, name)).toBe('could_not_tell');
});
