import type { UsageRecord } from '#contracts/record';

/** A record told from others by its number, which is also how many tokens it wrote. */
export function flowRecord(number: number): UsageRecord {
  return {
    version: 1,
    id: `req_${number}`,
    atMs: Date.UTC(2026, 0, 1),
    organization: 'org',
    workspace: 'ws',
    key: `key_${number % 3}`,
    endUser: null,
    conversation: null,
    dialect: 'anthropic',
    operation: 'messages',
    streamed: false,
    model: 'm',
    behavior: null,
    pool: 'p',
    region: null,
    attempts: [],
    outcome: 'answered',
    status: 200,
    code: null,
    stopReason: 'end_turn',
    tokens: { input: 1, cacheRead: 0, cacheWrite: 0, output: number, estimated: false },
    costMicroUsd: 3,
    stagesUs: {},
    firstContentUs: null,
    durationUs: 1,
    requestBytes: 1,
    responseBytes: 1,
    guards: [],
  };
}

/** The query that finds all of them. */
export const EVERYTHING = { organization: null, fromMs: Date.UTC(2026, 0, 1), toMs: Date.UTC(2026, 0, 2), groupBy: [] } as const;

/** What the store must answer for records 0 up to `count`: each once. */
export function totalsOf(count: number): { readonly requests: number; readonly output: number; readonly costMicroUsd: number } {
  return { requests: count, output: (count * (count - 1)) / 2, costMicroUsd: 3 * count };
}
