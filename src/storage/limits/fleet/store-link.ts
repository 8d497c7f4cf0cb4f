import type { Clock, Random, Timer } from '#contracts/clock';
import { breakerAfter, breakerAnswered, breakerFailed, breakerProbes, CLOSED_BREAKER, type Breaker } from '#core/limits';
import { probeGroup } from '../probe.ts';
import type { SharedLimits, SharedOperation, SharedReply } from '../shared-limits.ts';
import { createDeadlines } from './deadlines.ts';

type Done = Extract<SharedReply, { kind: 'done' }>;

/**
 * The way to the shared store: every operation under a budget, a breaker over all of them, and a request over its limit sent now
 * and then, which must be refused.
 */
export interface StoreLink {
  /** What the breaker says; with the absence that is going on, where there is one. */
  readonly breaker: Breaker;
  /**
   * Sends one operation. @returns its answer, or null when there is none within the budget: then the store is away.
   * @param haste - what a request waits for has the request's budget; other things have {@link BACKGROUND_MS}
   * @param late - gets the answer all the same, should it come after the budget; null when it never can
   */
  ask(operation: SharedOperation, haste: Haste, late: (reply: Done | null) => void): Promise<Done | null>;
  /** Something else went wrong with the store. */
  failed(because: string): void;
  /** Seconds with the store, and without. */
  secondsIn(): { readonly exact: number; readonly away: number };
  close(): void;
}

export interface StoreLinkOptions {
  readonly shared: SharedLimits;
  readonly clock: Clock;
  readonly random: Random;
  /** Names this gateway's request over its limit. */
  readonly gateway: string;
  readonly budgetMs: number;
  /** It answers again: what is owed and held can be told. */
  readonly onBack: () => void;
}

export type Haste = 'request' | 'background';

/** What nobody waits for may take so long before the store counts as away. */
export const BACKGROUND_MS = 100;
/** How often a request over its limit is sent while the store answers. */
const PROBE_EVERY_MS = 10_000;
/** A connection on which a probe waits so long is dropped for a new one. */
const STUCK_MS = 10_000;

export function createStoreLink({ shared, clock, random, gateway, budgetMs, onBack }: StoreLinkOptions): StoreLink {
  let breaker = CLOSED_BREAKER;
  let isClosed = false;
  let [exactUs, awayUs, sinceUs] = [0, 0, clock.nowUs()];
  let timer: Timer | null = null;
  const overLimit = probeGroup(`gateway-${gateway}`);
  const budgets = { request: budgetMs, background: BACKGROUND_MS };
  const deadlines = { request: createDeadlines(clock, budgetMs), background: createDeadlines(clock, BACKGROUND_MS) };

  const move = (next: Breaker): void => {
    if (next === breaker) return;
    const nowUs = clock.nowUs();
    if (breaker.kind === 'closed') exactUs += nowUs - sinceUs;
    else awayUs += nowUs - sinceUs;
    sinceUs = nowUs;
    const wasReachable = isReachable(breaker);
    breaker = next;
    schedule();
    if (!wasReachable && isReachable(next)) onBack();
  };
  const failed = (because: string): void => move(breakerFailed(breaker, because, clock.nowUs(), random.next()));
  // While a probe is under way, it alone says what becomes of the breaker.
  const failedBeside = (because: string): void => {
    if (breaker.kind !== 'probing') failed(because);
  };

  function schedule(): void {
    timer?.cancel();
    timer = null;
    if (isClosed) return;
    const nowUs = clock.nowUs();
    if (breaker.kind === 'closed') timer = clock.after(PROBE_EVERY_MS, () => void probe());
    else if (breaker.kind === 'open') timer = clock.after(Math.max(0, (breaker.probeAtUs - nowUs) / 1000), () => void probe());
    else if (breaker.kind === 'learning')
      timer = clock.after(Math.max(0, (breaker.untilUs - nowUs) / 1000), () => {
        move(breakerAfter(breaker, clock.nowUs()));
        if (breaker.kind === 'learning') schedule();
      });
  }

  /** Never rejects: neither does what it awaits. */
  async function probe(): Promise<void> {
    const next = breakerProbes(breaker, clock.nowUs());
    if (breaker.kind === 'open' && next === null) return schedule();
    if (next !== null) move(next);
    const isProbing = breaker.kind === 'probing';
    const because = await refusalMissing();
    if (isClosed) return;
    if (because !== null) failed(because);
    else if (isProbing) move(breakerAnswered(breaker, clock.nowUs()));
    else if (breaker.kind === 'closed') schedule();
  }

  /** Sends a request over its limit. @returns null when it was refused, as it must be */
  async function refusalMissing(): Promise<string | null> {
    // The first may be the one in an hour; the second cannot be.
    for (let time = 0; time < 2; time++) {
      const stuck = clock.after(STUCK_MS, () => shared.reconnect());
      const reply = await deadlines.request.within(shared.send(overLimit), () => stuck.cancel());
      if (reply === null) {
        if (isClosed) stuck.cancel();
        return noAnswer(budgetMs);
      }
      stuck.cancel();
      if (reply.kind === 'failed') return reply.because;
      if (reply.refusedBy === 0 && reply.waitUs > 0) return null;
    }
    return 'a request over its limit was not refused';
  }

  schedule();
  return {
    get breaker() {
      return breaker;
    },
    async ask(operation, haste, late) {
      const reply = await deadlines[haste].within(shared.send(operation), (answer) =>
        late(answer.kind === 'done' ? answer : null),
      );
      if (reply?.kind === 'done') return reply;
      failedBeside(reply?.because ?? noAnswer(budgets[haste]));
      if (reply !== null) late(null);
      return null;
    },
    failed: failedBeside,
    secondsIn() {
      const passedUs = clock.nowUs() - sinceUs;
      const isExact = breaker.kind === 'closed';
      return { exact: (exactUs + (isExact ? passedUs : 0)) / 1e6, away: (awayUs + (isExact ? 0 : passedUs)) / 1e6 };
    },
    close() {
      isClosed = true;
      timer?.cancel();
    },
  };
}

/** Can the store be told things, though it may not be asked yet? */
export const isReachable = ({ kind }: Breaker): boolean => kind === 'closed' || kind === 'learning';

const noAnswer = (budgetMs: number): string => `no answer within ${budgetMs} ms`;
