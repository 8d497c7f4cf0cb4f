import { DAY_MS, SHARE_HALF_LIFE_MS } from './advance-row.ts';
import { SHARE_REQUESTS_MIN } from './read-row.ts';

/** Models in their first day, and what share of all requests goes to them. */
export interface Releases {
  note(model: string, atMs: number): void;
  /** @returns whether the model is in its first day; null while no model is */
  observe(model: string | null, nowMs: number): boolean | null;
  /** 0 to 1; null while no model is new, or too few requests were seen. */
  shareOfAll(nowMs: number): number | null;
}

const RELEASES_MAX = 64;

/** The last 64 releases are kept. */
export function createReleases(): Releases {
  const releases = new Map<string, number>();
  let [newestMs, weight, hits, lastMs] = [-Infinity, 0, 0, 0];
  return {
    note(model, atMs) {
      releases.delete(model);
      releases.set(model, atMs);
      newestMs = Math.max(newestMs, atMs);
      const [first] = releases.keys();
      if (releases.size > RELEASES_MAX && first !== undefined) releases.delete(first);
    },
    observe(model, nowMs) {
      if (model === null || nowMs < newestMs || nowMs - newestMs >= DAY_MS) return null;
      const releasedMs = releases.get(model);
      const isNew = releasedMs !== undefined && nowMs >= releasedMs && nowMs - releasedMs < DAY_MS;
      const factor = 2 ** (-Math.max(0, nowMs - lastMs) / SHARE_HALF_LIFE_MS);
      lastMs = Math.max(lastMs, nowMs);
      weight = weight * factor + 1;
      hits = hits * factor + (isNew ? 1 : 0);
      return isNew;
    },
    shareOfAll: (nowMs) => (nowMs - newestMs >= DAY_MS || weight < SHARE_REQUESTS_MIN ? null : hits / weight),
  };
}
