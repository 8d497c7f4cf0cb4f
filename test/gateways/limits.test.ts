// Real processes on a real PostgreSQL and a real Redis: each step takes what it takes.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import * as answers from '../gateway/kit/answers.ts';
import type { OpenRequest, Received } from '../gateway/kit/client.ts';
import type { Exchange } from '../gateway/kit/scripted-replica.ts';
import { eventually } from './kit/eventually.ts';
import { because, isPossible, REDIS, startFleet, type Fleet } from './kit/fleet.ts';
import type { GatewayProcess } from './kit/gateway-process.ts';

const WORKERS_EACH = 5;
/** So long after the last request that passed, every share taken in advance is over, and could have been used by another. */
const QUIET_MS = 2_500;
const STORM_MS_MAX = 20_000;
/** `placesLease` of a fleet with the default `limits.lease_ms`; docs/limits.md. */
const PLACES_LEASE_MS = 10_000;
const EVENTS = answers.messagesEvents(['Seven', ' feet', '.']);
const WHOLE = { used: 7, max: 64 } as const;

describe.skipIf(!isPossible)(`one limit that three gateways share${because}`, () => {
  let fleet: Fleet;
  /** Exchanges at the replica that have not been answered, in the order in which they came. */
  let held: Exchange[] = [];
  let onArrival: (exchange: Exchange) => void = () => undefined;
  beforeAll(async () => {
    fleet = await startFleet({
      size: 3,
      redis: `${REDIS}/10`,
      limits: [
        'rules:',
        '  - { id: hourly, per: [key], of: requests, limit: 1000000, window: 1h }',
        '  - { id: reserved, per: [key], of: output_tokens, limit: 1000000000, window: month, output: max_tokens }',
      ],
      script: (exchange) => onArrival(exchange),
    });
  });
  beforeEach(() => void (held = []));
  afterAll(() => fleet?.close());

  /** Clients of every gateway that ask again and again, whatever they are told, until the test says that it is enough. */
  async function storm(key: string, hasEnough: () => boolean): Promise<{ readonly passed: number; readonly refused: number }> {
    let [passed, refused] = [0, 0];
    const endMs = performance.now() + STORM_MS_MAX;
    const client = async (gateway: GatewayProcess): Promise<void> => {
      while (!hasEnough() && performance.now() < endMs) {
        const { status, headers } = await gateway.call(key, { max_tokens: WHOLE.max });
        if (status === 200) passed++;
        else {
          expect([status, typeof headers['retry-after']]).toEqual([429, 'string']);
          refused++;
        }
      }
    };
    await Promise.all(fleet.gateways.flatMap((gateway) => Array.from({ length: WORKERS_EACH }, () => client(gateway))));
    if (!hasEnough()) throw new Error(`not enough in ${STORM_MS_MAX} ms: ${passed} passed, ${refused} were refused`);
    return { passed, refused };
  }

  const respond = (exchange: Exchange): void => exchange.respond(200, answers.messagesAnswer('Seven feet.'));

  test('in requests lets its burst pass and not one more, whoever is asked', async ({ annotate }) => {
    const { secret } = await fleet.newKey({ limits: { hourly: { limit: 60, burst: 40 } } });
    let arrived = 0;
    let arrivedAtMs = performance.now();
    const startMs = arrivedAtMs;
    onArrival = (exchange) => {
      arrived++;
      arrivedAtMs = performance.now();
      respond(exchange);
    };
    const { passed, refused } = await storm(secret, () => arrived > 40 || performance.now() - arrivedAtMs > QUIET_MS);
    // One comes back in a minute, and this takes seconds.
    expect(performance.now() - startMs).toBeLessThan(60_000);
    expect([arrived, passed]).toEqual([40, 40]);
    await annotate(`40 passed in ${(arrivedAtMs - startMs).toFixed(0)} ms; ${refused} were refused`);
  });

  test('in requests at once is never exceeded while answers end and others begin', async ({ annotate }) => {
    const { secret } = await fleet.newKey({ limits: { concurrency: { limit: 7 } } });
    let [most, ended] = [0, 0];
    onArrival = (exchange) => {
      held.push(exchange);
      most = Math.max(most, held.length);
    };
    const wanted = 60;
    const startMs = performance.now();
    const storming = storm(secret, () => ended >= wanted);
    const answering = async (): Promise<void> => {
      // As many as may be open are open before the first ends.
      await eventually(() => held.length === 7, 'all places are taken', 10_000);
      for (; ended < wanted; ended++) {
        await eventually(() => held.length > 0, 'another has begun', 10_000);
        for (const exchange of held.splice(ended % held.length, 1)) respond(exchange);
      }
      onArrival = respond;
      held.splice(0).forEach(respond);
    };
    const [{ passed, refused }] = await Promise.all([storming, answering()]);
    expect(most).toBe(7);
    expect(passed).toBeGreaterThanOrEqual(wanted);
    await annotate(
      `${passed} passed in ${(performance.now() - startMs).toFixed(0)} ms, 7 at once at most; ${refused} were refused`,
    );
  });

  test('in output reserved at max_tokens is never exceeded, and what answers do not use is given to others', async ({
    annotate,
  }) => {
    const limit = 1_000;
    const { secret } = await fleet.newKey({ limits: { reserved: { limit } } });
    const startMs = performance.now();
    let [ended, most, arrivedAtMs] = [0, 0, startMs];
    onArrival = (exchange) => {
      held.push(exchange);
      arrivedAtMs = performance.now();
      most = Math.max(most, held.length * WHOLE.max + ended * WHOLE.used);
    };
    // All that fits before any answer ends; up to half of it may lie in shares that are too small for anybody.
    const full = Math.floor(limit / WHOLE.max);
    const begun = Math.ceil(full / 2);
    let isAnswering = false;
    const isOver = (): boolean => isAnswering && held.length === 0 && performance.now() - arrivedAtMs > 500;
    const answering = async (): Promise<void> => {
      await eventually(() => held.length >= begun, `${begun} answers are reserved`, 10_000);
      isAnswering = true;
      while (!isOver()) {
        await eventually(() => held.length > 0 || isOver(), 'another has begun', 10_000);
        for (const exchange of held.splice(0, 1)) {
          ended++;
          respond(exchange);
        }
      }
    };
    const [{ passed, refused }] = await Promise.all([storm(secret, isOver), answering()]);
    expect(most).toBeLessThanOrEqual(limit);
    expect(passed).toBeGreaterThan(2 * full);
    await annotate(`${passed} answers passed in ${(arrivedAtMs - startMs).toFixed(0)} ms; ${refused} were refused`);
  });

  test('in requests at once gets the places of a killed gateway back within the lease', async ({ annotate }) => {
    const { secret } = await fleet.newKey({ limits: { concurrency: { limit: 6 } } });
    const [a, b, c] = fleet.gateways as [GatewayProcess, GatewayProcess, GatewayProcess];
    onArrival = (exchange) => {
      held.push(exchange);
      exchange.head(200);
      exchange.chunk(EVENTS.slice(0, 4).join(''));
    };
    const streams: OpenRequest[] = [];
    /** Resolves once the stream runs, or was refused. */
    const begins = async (gateway: GatewayProcess): Promise<boolean> => {
      const request = gateway.stream(secret);
      let answer: Received | null = null;
      void request.answer.then((whole) => (answer = whole)).catch(() => undefined);
      await eventually(() => request.received().body.includes('Seven') || answer !== null, 'it runs or is refused', 5_000);
      const runs = request.received().status === 200;
      if (runs) streams.push(request);
      else expect(request.received().status).toBe(429);
      return runs;
    };
    for (const gateway of [a, b, c, a, b, c]) await eventually(() => begins(gateway), `${gateway.port} gets a place`, 5_000);
    expect([await begins(a), await begins(b), held.length]).toEqual([false, false, 6]);
    await c.kill();
    const backMs: number[] = [];
    const startMs = performance.now();
    for (const gateway of [a, b]) {
      await eventually(() => begins(gateway), `a place has come back to ${gateway.port}`, PLACES_LEASE_MS + 1_000);
      backMs.push(performance.now() - startMs);
    }
    // Two were lost and two are back; the others are open still.
    expect([await begins(a), await begins(b), held.length]).toEqual([false, false, 8]);
    expect(held.filter(({ closedAt }) => closedAt !== null)).toHaveLength(2);
    for (const stream of streams) stream.leave();
    await c.start();
    await eventually(() => begins(c), 'it starts again', 5_000);
    streams.at(-1)?.leave();
    await annotate(`places came back ${backMs.map((ms) => ms.toFixed(0)).join(' and ')} ms after the kill`);
  });
});
