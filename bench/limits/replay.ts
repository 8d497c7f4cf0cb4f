import { createKeyedHash } from '#core/abuse';
import {
  compileLimits,
  countMeters,
  createMeterBook,
  createTokenExpectations,
  expectedCosts,
  newDecisionSlot,
  settlingDeltas,
  type LimitedTenant,
  type Rule,
} from '#core/limits';
import { limitRuleSchema } from '#contracts/limits';
import type { TracedRequest } from './azure-trace.ts';
import { createTimeline } from './timeline.ts';

export interface ReplayOptions {
  readonly requests: readonly TracedRequest[];
  /** Of each request. */
  readonly tenants: ArrayLike<number>;
  readonly tenantCount: number;
  readonly output: Rule['output'];
  /** Output tokens a minute of each tenant. */
  readonly limit: number;
  /** What clients say they want at most. */
  readonly maxTokens: number;
}

/** Whole tokens and requests. */
export interface ReplayFigures {
  readonly admitted: number;
  readonly refused: number;
  /** Refused, though an oracle that knows outputs would have let it in, given the same requests before it. */
  readonly refusedWrongly: number;
  readonly reserved: number;
  /** By those admitted. */
  readonly used: number;
  /** Streamed while their tenant was beyond its limit. */
  readonly beyond: number;
  /** Furthest that any tenant was beyond its limit at any time. */
  readonly beyondMax: number;
}

const FIRST_TOKEN_US = 500_000;
const TOKENS_PER_SECOND = 50;
const CHARGE_US = 250_000;
const WINDOW_US = 60_000_000;

/** Replays a trace through planner, expectations and meter book on virtual time; what is refused does not come again. */
export function replay({ requests, tenants, tenantCount, output, limit, maxTokens }: ReplayOptions): ReplayFigures {
  const hash = createKeyedHash([1, 2]);
  const rule = limitRuleSchema.parse({ id: 'output', per: ['key'], of: 'output_tokens', limit, window: '1m', output });
  const compiled = compileLimits({ defaults: {}, rules: [rule], tiers: [], modelClasses: [] }, hash);
  if (!compiled.ok) throw new Error(compiled.error.join('; '));
  const planner = compiled.value;
  const callers = Array.from({ length: tenantCount }, (_, tenant) => tenantOf(tenant));
  const book = createMeterBook({ subjectsMax: 100_000 });
  const expectations = createTokenExpectations();
  const timeline = createTimeline();
  const [oracles, truths] = [callers.map(() => createBucket(limit)), callers.map(() => createBucket(limit))];
  const figures = { admitted: 0, refused: 0, refusedWrongly: 0, reserved: 0, used: 0, beyond: 0, beyondMax: 0 };

  const arrive = (request: TracedRequest, tenant: number): void => {
    const nowUs = request.atUs;
    const groups = planner.groupsOf({
      tenant: callers[tenant] as LimitedTenant,
      modelClass: 'model',
      endUser: null,
      address: '-',
    });
    const likely = Math.min(maxTokens, expectations.outputQuantile(hash.text(`${tenant}`)));
    const charged = new Float64Array(countMeters(groups));
    const slot = newDecisionSlot(charged.length);
    expectedCosts(groups, { input: 0, output: { metered: 0, quantile: likely, max_tokens: maxTokens }, price: null }, charged);
    book.take({ groups, costs: charged }, nowUs, 0, slot);
    const oracle = oracles[tenant] as Bucket;
    if (slot.refusedBy !== -1) {
      figures.refused++;
      if (oracle.fits(request.output, nowUs)) figures.refusedWrongly++;
      return;
    }
    figures.admitted++;
    // The one rule is the only one that costs anything.
    const place = groups.flatMap(({ scope }) => scope.rules).findIndex(({ id }) => id === rule.id);
    figures.reserved += charged[place] as number;
    figures.used += request.output;
    oracle.add(request.output, nowUs);
    let streamed = 0;
    const settle = (deltas: Float64Array, atUs: number): void => book.settle(groups, deltas, atUs, 0);
    const stream = (atUs: number): void => {
      const made = Math.min(request.output, Math.floor(((atUs - nowUs - FIRST_TOKEN_US) * TOKENS_PER_SECOND) / 1e6));
      const more = Math.max(0, made - streamed);
      const beyond = (truths[tenant] as Bucket).add(more, atUs);
      figures.beyond += Math.min(more, beyond);
      figures.beyondMax = Math.max(figures.beyondMax, beyond);
      streamed += more;
      if (streamed < request.output) {
        if (output === 'metered' && more > 0) {
          const deltas = new Float64Array(charged.length);
          deltas[place] = more;
          settle(deltas, atUs);
          charged[place] = (charged[place] as number) + more;
        }
        timeline.at(atUs + CHARGE_US, stream);
        return;
      }
      const deltas = new Float64Array(charged.length);
      settlingDeltas(
        groups,
        { amounts: { input: 0, cacheRead: 0, cacheWrite: 0, output: request.output }, price: null, charged, wasAnswered: true },
        deltas,
      );
      settle(deltas, atUs);
      expectations.learnOutput(hash.text(`${tenant}`), request.output);
    };
    timeline.at(nowUs + FIRST_TOKEN_US + CHARGE_US, stream);
  };

  for (const [at, request] of requests.entries()) {
    timeline.runUntil(request.atUs);
    arrive(request, tenants[at] as number);
  }
  timeline.runUntil(Infinity);
  return figures;
}

function tenantOf(tenant: number): LimitedTenant {
  return {
    organization: { id: `org_${tenant}`, tier: null, limits: {} },
    workspace: null,
    key: { id: `key_${tenant}`, limits: {} },
    slow: { organization: 1, key: 1 },
  };
}

/** A limit by the book: what was taken, less what a minute gives back. */
interface Bucket {
  fits(tokens: number, nowUs: number): boolean;
  /** @returns by how much it is over its limit now */
  add(tokens: number, nowUs: number): number;
}

function createBucket(limit: number): Bucket {
  let [level, atUs] = [0, 0];
  const advance = (nowUs: number): void => {
    level = Math.max(0, level - ((nowUs - atUs) * limit) / WINDOW_US);
    atUs = nowUs;
  };
  return {
    fits(tokens, nowUs) {
      advance(nowUs);
      return level + tokens <= limit;
    },
    add(tokens, nowUs) {
      advance(nowUs);
      level += tokens;
      return Math.max(0, level - limit);
    },
  };
}
