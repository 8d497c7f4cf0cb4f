import { DAY_MS } from './advance-row.ts';
import { createHeavyCounter, type HeavyCount } from './space-saving.ts';

/** New accounts by mail domain, this UTC day and the one before. */
export interface Domains {
  add(domain: number, nowMs: number): void;
  count(domain: number, nowMs: number): HeavyCount;
}

const DOMAINS = 256;

/** Counts are over by at most a day's accounts ÷ 256. */
export function createDomains(): Domains {
  const days = [createHeavyCounter(DOMAINS), createHeavyCounter(DOMAINS)] as const;
  let day = 0;
  const advance = (nowMs: number): void => {
    const now = Math.floor(nowMs / DAY_MS);
    if (now <= day) return;
    days[(now & 1) as 0 | 1].clear();
    if (now > day + 1) days[(1 - (now & 1)) as 0 | 1].clear();
    day = now;
  };
  return {
    add(domain, nowMs) {
      advance(nowMs);
      days[(day & 1) as 0 | 1].add(domain);
    },
    count(domain, nowMs) {
      advance(nowMs);
      const [one, other] = [days[0].count(domain), days[1].count(domain)];
      return { count: one.count + other.count, overMax: one.overMax + other.overMax };
    },
  };
}
