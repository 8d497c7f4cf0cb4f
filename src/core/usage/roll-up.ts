import type { Outcome, UsageRecord } from '#contracts/record';

/** Milliseconds of a UTC day. */
export const DAY_MS = 86_400_000;

/** What the requests of one day, tenant, model and outcome used together. */
interface UsageTotals {
  /** Whole UTC days since 1970-01-01. */
  readonly day: number;
  readonly organization: string | null;
  readonly workspace: string | null;
  readonly key: string | null;
  readonly model: string | null;
  readonly outcome: Outcome;
  readonly requests: number;
  readonly input: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly output: number;
  /** Requests whose tokens are partly counted by us. */
  readonly estimated: number;
  /** Of the requests that had a price. */
  readonly costMicroUsd: number;
  readonly unpriced: number;
}

/**
 * Adds records up by day, tenant, model and outcome; every record is in exactly one group.
 * A name that no model of ours has is chosen by the client, so such requests share the group without a model: otherwise anyone
 * could make groups without end. Names are made fit for any database: no NUL, well-formed, at most 256 characters.
 */
export function rollUp(records: Iterable<UsageRecord>): UsageTotals[] {
  const groups = new Map<string, Mutable<UsageTotals>>();
  for (const record of records) {
    const { tokens, costMicroUsd } = record;
    const group = groupOf(groups, record);
    group.requests++;
    group.input += counted(tokens.input);
    group.cacheRead += counted(tokens.cacheRead);
    group.cacheWrite += counted(tokens.cacheWrite);
    group.output += counted(tokens.output);
    if (tokens.estimated) group.estimated++;
    if (costMicroUsd === null) group.unpriced++;
    else group.costMicroUsd += counted(costMicroUsd);
  }
  return [...groups.values()];
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function groupOf(groups: Map<string, Mutable<UsageTotals>>, record: UsageRecord): Mutable<UsageTotals> {
  const day = Math.floor(record.atMs / DAY_MS);
  const { outcome } = record;
  const organization = cleaned(record.organization);
  const workspace = cleaned(record.workspace);
  const key = cleaned(record.key);
  const model = record.code === 'model_not_found' ? null : cleaned(record.model);
  // Cleaned names hold no NUL, so the parts cannot run into one another.
  const name = `${day}\0${outcome}\0${organization ?? '\0'}\0${workspace ?? '\0'}\0${key ?? '\0'}\0${model ?? '\0'}`;
  const known = groups.get(name);
  if (known) return known;
  const none = { requests: 0, input: 0, cacheRead: 0, cacheWrite: 0, output: 0, estimated: 0, costMicroUsd: 0, unpriced: 0 };
  const fresh = { day, organization, workspace, key, model, outcome, ...none };
  groups.set(name, fresh);
  return fresh;
}

/** No single request truly has more; a broken upstream's number must not spoil a sum that others are in. */
const COUNT_MAX = 1_000_000_000;

function counted(value: number): number {
  return value > 0 ? Math.min(Math.floor(value), COUNT_MAX) : 0;
}

const NAME_CHARS_MAX = 256;

function cleaned(name: string | null): string | null {
  if (name === null) return null;
  const short = name.length > NAME_CHARS_MAX ? name.slice(0, NAME_CHARS_MAX) : name;
  return short.isWellFormed() && !short.includes('\0') ? short : short.toWellFormed().replaceAll('\0', '\uFFFD');
}
