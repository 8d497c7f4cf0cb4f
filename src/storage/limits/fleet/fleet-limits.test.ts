import { test } from 'vitest';
import { describeLimitStore } from '../limit-store.conformance.ts';
import { realRandom, withoutTimers } from '../limits-kit.fixture.ts';
import { openRedisLimits } from '../redis/open-redis-limits.ts';
import { createFleetLimits } from './fleet-limits.ts';

const url = process.env.PLIMSOLL_TEST_REDIS;

if (url === undefined) {
  test.skip('limits in Redis (skipped: PLIMSOLL_TEST_REDIS names no server; scripts/with-redis.sh starts one)', () => undefined);
} else {
  describeLimitStore('limits in Redis', async (testClock) => {
    const clock = withoutTimers(testClock);
    const opened = await openRedisLimits({ url, clock, random: realRandom, serverTimeUs: testClock.wallUs });
    if (!opened.ok) throw new Error(opened.error.message);
    return createFleetLimits({ shared: opened.value, clock, random: realRandom, leaseMs: 0, placesLeaseMs: 36_000_000 });
  });
}
