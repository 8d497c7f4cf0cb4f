import type { Clock, Random } from '#contracts/clock';
import { compileRate, type MeterGroup, type Rate, type RateSpec, type Rule, type Scope } from '#core/limits';

/** The first moment of every test: a noon, in µs since 1970. */
const NOON_US = Date.UTC(2026, 5, 15, 12) * 1000;

/** A clock that moves only when told to; its wall follows, and may be stepped. */
export interface TestClock extends Clock {
  wallUs(): number;
  advance(us: number): void;
  stepWall(us: number): void;
}

export function createTestClock(startUs = NOON_US): TestClock {
  let [nowUs, stepUs] = [0, 0];
  let timers: { readonly atUs: number; readonly task: () => void }[] = [];
  return {
    nowUs: () => nowUs,
    wallUs: () => startUs + stepUs + nowUs,
    wallMs: () => Math.floor((startUs + stepUs + nowUs) / 1000),
    after(delayMs, task) {
      const timer = { atUs: nowUs + Math.round(delayMs * 1000), task };
      timers.push(timer);
      return { cancel: () => void (timers = timers.filter((other) => other !== timer)) };
    },
    advance(us) {
      // A jump: what fell due on the way runs once, at its end.
      nowUs += us;
      const due = timers.filter(({ atUs }) => atUs <= nowUs);
      timers = timers.filter(({ atUs }) => atUs > nowUs);
      for (const { task } of due) task();
    },
    stepWall: (us) => void (stepUs += us),
  };
}

/** The same without timers: nothing happens beside what is asked, and no answer of a real server is late. */
export const withoutTimers = (clock: Clock): Clock => ({
  nowUs: clock.nowUs,
  wallMs: clock.wallMs,
  after: () => ({ cancel: () => undefined }),
});

/** The machine's clock and chance, for tests with real servers. All processes of a machine agree about it. */
export const realClock: Clock = {
  nowUs: () => Number(process.hrtime.bigint() / 1000n),
  wallMs: () => Date.now(),
  after(delayMs, task) {
    const timer = setTimeout(task, delayMs);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

export const realRandom: Random = {
  next: Math.random,
  hex: (count) => Buffer.from(Array.from({ length: count }, () => Math.floor(Math.random() * 256))).toString('hex'),
};

/** A rule for tests: leased or not as the test says, enforced, local share while away. */
export const ruleOf = (id: string, more: Partial<Rule> = {}): Rule => ({
  id,
  measure: 'requests',
  output: 'metered',
  cacheReadWeight: 0,
  hardStop: false,
  whenAway: 'local_share',
  isLeased: false,
  isDryRun: false,
  isMetered: false,
  ...more,
});

export function rateOf(spec: RateSpec): Rate {
  const rate = compileRate(spec);
  if (!rate.ok) throw new Error(rate.error);
  return rate.value;
}
export const perMinute = (limit: number, burst = limit): Rate => rateOf({ kind: 'rate', limit, windowUs: 60_000_000, burst });
export const places = (limit: number): Rate => rateOf({ kind: 'places', limit });

export const scopeOf = (index: number, rules: readonly Rule[]): Scope => ({ index, id: `scope-${index}`, rules });

/** One subject's meters in a scope; the same names are the same subject, in every process. */
export function groupOf(scope: Scope, subject: string, rates: readonly Rate[], tenant = 'org_test'): MeterGroup {
  const hash = (seed: number): number => {
    let value = seed;
    for (const letter of `${tenant} ${scope.id} ${subject}`) value = Math.imul(value ^ letter.charCodeAt(0), 0x01000193);
    return value >>> 0;
  };
  return { scope, tenant, subject, hashHigh: hash(0x811c9dc5), hashLow: hash(0x1b873593), rates };
}
