import { createReadStream, existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { REFUSALS } from '#contracts/errors';
import type { UsageRecord } from '#contracts/record';
import { createDiskFiles, createJournalReader } from '#storage';
import { CannotStart } from '../create-engines.ts';

/** What comes of an input, in its order. `bytes` is how far it has been read. */
export type ReplayPiece =
  | { readonly kind: 'record'; readonly record: UsageRecord; readonly bytes: number }
  /** Something that is no usage record; `where` names its line. */
  | { readonly kind: 'bad'; readonly where: string; readonly because: string }
  /** Records that the journal had and cannot give any more. */
  | { readonly kind: 'lost'; readonly records: number };

export interface ReplaySource {
  /** Null when nobody knows before the end. */
  readonly totalBytes: number | null;
  readonly pieces: AsyncIterable<ReplayPiece>;
}

/**
 * Opens usage records: a journal's directory (or the data directory that it is in), a file of JSON lines, or standard input.
 * @throws CannotStart when there is nothing of the kind
 */
export function openRecords(place: string, stdin: Readable): ReplaySource {
  if (place === '-') return { totalBytes: null, pieces: fromLines(stdin, 'standard input') };
  const found = statSync(place, { throwIfNoEntry: false });
  if (found === undefined) throw new CannotStart(`${place} is not there`);
  if (!found.isDirectory()) return { totalBytes: found.size, pieces: fromLines(createReadStream(place), place) };
  const inside = path.join(place, 'journal');
  const directory = existsSync(inside) ? inside : place;
  if (!readdirSync(directory).some((name) => name.endsWith('.journal')))
    throw new CannotStart(`${place} is neither a journal nor a data directory with one in it`);
  return { totalBytes: null, pieces: fromJournal(directory) };
}

const count = z.int().min(0);
/** What a replay reads of a record; the rest may be anything. */
const recordSchema = z.looseObject({
  version: z.literal(1),
  atMs: count,
  organization: z.string().nullable(),
  key: z.string().nullable(),
  endUser: z.string().nullable(),
  model: z.string().nullable(),
  outcome: z.enum(['answered', 'refused', 'refused_by_upstream', 'failed', 'broken', 'client_gone', 'shut_down']),
  status: z.int(),
  code: z
    .string()
    .refine((code) => Object.hasOwn(REFUSALS, code), 'no code of this version')
    .nullable(),
  stopReason: z.string().nullable(),
  tokens: z.looseObject({ input: count, cacheRead: count, cacheWrite: count, output: count }),
  costMicroUsd: count.nullable(),
  durationUs: count,
  guards: z.array(z.looseObject({ verdict: z.enum(['allow', 'redact', 'refuse', 'unmeasured']) })),
});

/** Longer than any record; what is longer is passed over without being held. */
const LINE_BYTES_MAX = 256 * 1024;
const LINE_FEED = 0x0a;

async function* fromLines(stream: Readable, name: string): AsyncGenerator<ReplayPiece> {
  let [bytes, line, isTooLong] = [0, 0, false];
  let rest: Buffer = Buffer.alloc(0);
  const take = (text: Buffer): ReplayPiece | null => {
    line++;
    const where = `${name}:${line}`;
    if (isTooLong || text.length > LINE_BYTES_MAX) {
      isTooLong = false;
      return { kind: 'bad', where, because: `it has more than ${LINE_BYTES_MAX} bytes` };
    }
    return text.length === 0 ? null : readRecord(text.toString('utf8'), { where, bytes });
  };
  try {
    for await (const chunk of stream as AsyncIterable<Buffer | string>) {
      const read = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
      bytes += read.length;
      let from = 0;
      for (let end = read.indexOf(LINE_FEED); end !== -1; end = read.indexOf(LINE_FEED, from)) {
        const piece = take(Buffer.concat([rest, read.subarray(from, end)]));
        [rest, from] = [Buffer.alloc(0), end + 1];
        if (piece) yield piece;
      }
      rest = Buffer.concat([rest, read.subarray(from)]);
      if (rest.length > LINE_BYTES_MAX) [rest, isTooLong] = [Buffer.alloc(0), true];
    }
  } catch (error) {
    throw new CannotStart(`${name} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  const piece = rest.length > 0 || isTooLong ? take(rest) : null;
  if (piece) yield piece;
}

async function* fromJournal(directory: string): AsyncGenerator<ReplayPiece> {
  const reader = createJournalReader({ directory, files: createDiskFiles(), from: 0 });
  let [bytes, isFirst] = [0, true];
  try {
    for (;;) {
      // A server may be writing on: what is there is read, and its end is where the newest file has no whole record any more.
      const piece = await reader.next({ syncedTo: Number.MAX_SAFE_INTEGER, recordsMax: 10_000 });
      if (piece.kind === 'nothing' || piece.kind === 'stuck') return;
      if (piece.kind === 'records') {
        bytes += piece.lines.length;
        let sequence = piece.from;
        for (const text of piece.lines.toString('utf8').trimEnd().split('\n'))
          yield readRecord(text, { where: `record ${sequence++}`, bytes });
      } else if (!isFirst) yield { kind: 'lost', records: piece.to - piece.from };
      // What was before the oldest segment has gone into the store, and is not lost.
      isFirst = false;
    }
  } finally {
    await reader.close();
  }
}

function readRecord(text: string, { where, bytes }: { readonly where: string; readonly bytes: number }): ReplayPiece {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { kind: 'bad', where, because: 'it is not JSON' };
  }
  const parsed = recordSchema.safeParse(json);
  // Every field that a replay reads was looked at; the others are passed on as they came.
  if (parsed.success) return { kind: 'record', record: parsed.data as unknown as UsageRecord, bytes };
  const [issue] = parsed.error.issues;
  return { kind: 'bad', where, because: `${issue?.path.join('.') || 'it'}: ${issue?.message ?? 'is no usage record'}` };
}
