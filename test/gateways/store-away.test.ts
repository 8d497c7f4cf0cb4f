// Real processes on a real PostgreSQL and a real Redis: each step takes what it takes.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as answers from '../gateway/kit/answers.ts';
import { eventually } from './kit/eventually.ts';
import { because, isPossible, REDIS, startFleet, type Fleet } from './kit/fleet.ts';
import type { GatewayProcess } from './kit/gateway-process.ts';

/** A silence of 3 s is the shortest that counts, and each gateway then asks for the store again within 6 s. */
const NOTICED_WITHIN_MS = 6_000;
const BACK_WITHIN_MS = 10_000;

describe.skipIf(!isPossible)(`three gateways whose control store goes away${because}`, () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await startFleet({
      size: 3,
      redis: `${REDIS}/9`,
      script: (exchange) => exchange.respond(200, answers.messagesAnswer('Seven feet.')),
    });
  });
  afterAll(() => fleet?.close());

  test('serve whom they know, even when they start anew, and refuse where an organization asked for that, until it is back', async ({
    annotate,
  }) => {
    const [a, b, c] = fleet.gateways as [GatewayProcess, GatewayProcess, GatewayProcess];
    const statusAt = async (gateway: GatewayProcess, key: string): Promise<number> => (await gateway.call(key)).status;
    const everywhere = (key: string, status: number, boundMs: number): Promise<number[]> =>
      Promise.all(
        fleet.gateways.map((gateway) =>
          eventually(async () => (await statusAt(gateway, key)) === status, `${gateway.port} answers ${status}`, boundMs),
        ),
      );
    const loyal = await fleet.newKey();
    const strict = await fleet.newKey({ settings: { when_cut_off: { kind: 'refuse', after_seconds: 1 } } });
    const gone = await fleet.newKey();
    expect((await a.admin('POST', `keys/${gone.id}/revoke`)).body['not_acknowledged']).toEqual([]);

    // One is killed as soon as the revocation is acknowledged, and begins anew without the store.
    fleet.wire.state = 'cut';
    await c.kill();
    for (const { secret } of [loyal, strict]) for (const gateway of [a, b]) expect(await statusAt(gateway, secret)).toBe(200);
    for (const [method, route, body] of [
      ['GET', 'keys'],
      ['POST', `keys/${loyal.id}/revoke`],
      ['POST', 'organizations', { name: 'Nobody' }],
    ] as const)
      expect(await a.admin(method, route, body)).toMatchObject({ status: 503, body: { error: { type: 'unavailable' } } });
    const startMs = await c.start();
    const strictMs = await everywhere(strict.secret, 503, NOTICED_WITHIN_MS);
    const refused = await c.call(strict.secret);
    expect([refused.headers['retry-after'], refused.headers['x-should-retry']]).toEqual(['5', 'true']);
    expect(refused.body.toString()).toContain('cannot hear of revocations');
    expect(await c.metric('plimsoll_tenants_cut_off_seconds')).toBeGreaterThan(1);
    expect((await c.admin('GET', 'keys')).status).toBe(503);
    for (const gateway of fleet.gateways)
      expect([await statusAt(gateway, loyal.secret), await statusAt(gateway, gone.secret)]).toEqual([200, 401]);

    fleet.wire.state = 'whole';
    const backMs = await everywhere(strict.secret, 200, BACK_WITHIN_MS);
    expect((await a.admin('POST', `keys/${loyal.id}/revoke`)).body['not_acknowledged']).toEqual([]);
    for (const gateway of fleet.gateways) expect(await statusAt(gateway, loyal.secret)).toBe(401);
    const ms = (times: readonly number[]): string => times.map((time) => time.toFixed(0)).join(', ');
    await annotate(
      `a start without the store took ${ms([startMs])} ms; refused after that and ${ms(strictMs)} ms; served again after ${ms(backMs)} ms`,
    );
  });
});
