import path from 'node:path';
import type { Clock, Timer } from '#contracts/clock';
import { describeFailure } from './event.ts';
import type { JournalFiles } from './files.ts';
import { FRAME_BYTES_MAX, HEADER_BYTES } from './format.ts';

/** Segments of zeros, written and synced ahead of need, so that a full disk is found before a request is admitted, not after. */
export interface Spares {
  /** The next one, or null when there is none. */
  take(): Spare | null;
  /** Makes spares up to the target while the bound allows; a failure is kept and tried again. Never rejects. */
  topUp(): Promise<void>;
  recordsThatFit(): number;
  bytes(): number;
  /** Why the last one could not be made; null when it could. */
  problem(): string | null;
  close(): Promise<void>;
}

interface Spare {
  readonly name: string;
  readonly bytes: number;
}

interface SparesOptions {
  readonly directory: string;
  readonly files: JournalFiles;
  readonly clock: Clock;
  readonly segmentBytes: number;
  readonly retryMs: number;
  readonly existing: readonly Spare[];
  readonly hasRoom: () => boolean;
  readonly onFailure: (because: string) => void;
  readonly onRecovered: () => void;
}

/** One to take and one to stand in while the next is written. */
const SPARES_TARGET = 2;
const ZEROS_BYTES = 1024 * 1024;

export function createSpares(options: SparesOptions): Spares {
  const { directory, files, clock, segmentBytes, retryMs, hasRoom, onFailure, onRecovered } = options;
  const ready: Spare[] = [...options.existing];
  let number = 1 + ready.reduce((most, { name }) => Math.max(most, Number(/\d+/.exec(name)?.[0] ?? 0)), 0);
  let problem: string | null = null;
  let making: Promise<void> | null = null;
  let retry: Timer | null = null;
  let isClosed = false;

  function topUp(): Promise<void> {
    making ??= makeMissing().finally(() => (making = null));
    return making;
  }

  async function makeMissing(): Promise<void> {
    retry?.cancel();
    while (!isClosed && ready.length < SPARES_TARGET && hasRoom()) {
      try {
        ready.push(await makeOne(number++));
        if (problem !== null) {
          problem = null;
          onRecovered();
        }
      } catch (error) {
        const because = describeFailure(error);
        if (problem === null) onFailure(because);
        problem = because;
        if (!isClosed) retry = clock.after(retryMs, () => void topUp());
        return;
      }
    }
  }

  async function makeOne(count: number): Promise<Spare> {
    const name = `usage-spare-${count}.zeros`;
    const partial = path.join(directory, `usage-spare-${count}.partial`);
    try {
      const file = await files.open(partial, { create: true });
      try {
        const zeros = Buffer.alloc(Math.min(ZEROS_BYTES, segmentBytes));
        for (let at = 0; at < segmentBytes; at += zeros.length) {
          await file.write(zeros.subarray(0, Math.min(zeros.length, segmentBytes - at)), at);
        }
        await file.datasync();
      } finally {
        await file.close();
      }
      await files.rename(partial, path.join(directory, name));
      await files.syncDirectory(directory);
    } catch (error) {
      // What was written of it would keep the disk full.
      await files.remove(partial).catch(() => undefined);
      throw error;
    }
    return { name, bytes: segmentBytes };
  }

  return {
    take: () => ready.shift() ?? null,
    topUp,
    recordsThatFit: () => ready.reduce((sum, { bytes }) => sum + Math.floor((bytes - HEADER_BYTES) / FRAME_BYTES_MAX), 0),
    bytes: () => ready.reduce((sum, { bytes }) => sum + bytes, 0),
    problem: () => problem,
    async close() {
      isClosed = true;
      retry?.cancel();
      await making;
    },
  };
}
