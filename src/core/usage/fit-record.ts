import type { AttemptRecord, UsageRecord } from '#contracts/record';

/** A record as the journal keeps it: whole, or shortened in a stated way with a mark that says what was left out. */
interface FittedRecord extends UsageRecord {
  readonly shortened?: { readonly attempts: number; readonly guards: number; readonly stringChars: number };
}

/**
 * Shortens a record that is too long for its reservation, so that it is never lost. Counts, tokens, times and the id always
 * stay. Each step is tried in turn: fewer attempts and guards, then shorter strings too.
 * @param record - the record as it happened
 * @param bytesMax - what its JSON may take in UTF-8, at least 6,144 so that the last step always fits
 * @param bytesOf - UTF-8 bytes of a string; the caller has the encoder
 * @returns the JSON that fits
 */
export function fitRecord(record: UsageRecord, bytesMax: number, bytesOf: (json: string) => number): string {
  const whole = JSON.stringify(record);
  if (bytesOf(whole) <= bytesMax) return whole;
  for (const step of STEPS) {
    const json = JSON.stringify(shorten(record, step));
    if (bytesOf(json) <= bytesMax) return json;
  }
  return JSON.stringify(shorten(record, SHORTEST));
}

interface Step {
  /** How many attempts stay at either end: the first say how it began, the last how it ended. */
  readonly attemptsEachEnd: number;
  readonly guards: number;
  readonly stringChars: number;
}

/** In JSON a character takes at most six bytes: about 20 strings of 32 characters and the numbers stay below 6 KiB. */
const SHORTEST: Step = { attemptsEachEnd: 1, guards: 4, stringChars: 32 };
const STEPS: readonly Step[] = [
  { attemptsEachEnd: 4, guards: 16, stringChars: 4096 },
  { attemptsEachEnd: 2, guards: 8, stringChars: 256 },
  SHORTEST,
];

function shorten(record: UsageRecord, step: Step): FittedRecord {
  const cut = <T extends string | null>(text: T): T => cutTo(text, step.stringChars) as T;
  const cutAttempt = (attempt: AttemptRecord): AttemptRecord => ({
    ...attempt,
    replica: cut(attempt.replica),
    upstreamRequestId: cut(attempt.upstreamRequestId),
  });
  const tooMany = record.attempts.length > 2 * step.attemptsEachEnd;
  const attempts = tooMany
    ? [...record.attempts.slice(0, step.attemptsEachEnd), ...record.attempts.slice(-step.attemptsEachEnd)]
    : record.attempts;
  const guards = record.guards.slice(0, step.guards);
  return {
    ...record,
    organization: cut(record.organization),
    workspace: cut(record.workspace),
    key: cut(record.key),
    endUser: cut(record.endUser),
    conversation: cut(record.conversation),
    model: cut(record.model),
    behavior: cut(record.behavior),
    pool: cut(record.pool),
    region: cut(record.region),
    stopReason: cut(record.stopReason),
    attempts: attempts.map(cutAttempt),
    guards: guards.map((entry) => ({ ...entry, guard: cut(entry.guard) })),
    shortened: {
      attempts: record.attempts.length - attempts.length,
      guards: record.guards.length - guards.length,
      stringChars: step.stringChars,
    },
  };
}

function cutTo(text: string | null, chars: number): string | null {
  return text === null || text.length <= chars ? text : text.slice(0, chars);
}
