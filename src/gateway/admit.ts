import type { Clock } from '#contracts/clock';
import type { Config } from '#contracts/config';
import { refusal, type Refusal } from '#contracts/errors';
import { takeOne, type RateMeter } from '#core/limits';
import type { Journal } from '#storage';
import type { KeyEntry } from './keyring.ts';
import type { Life } from './life.ts';

/** Open work and rate of each key that has been seen; there are as many as the keyring has keys. */
export interface Admission {
  /** Stage 3: takes a place, a slot and journal space, or says which limit is in the way; a refusal takes nothing. */
  admit(life: Life, caller: KeyEntry): Refusal | null;
  /**
   * Journal space for the record of a request that was refused before it was given any. Refusals of known callers are recorded
   * while the journal is at most half full, so that no flood of them takes the room of requests that are served; what is not
   * recorded is counted. Strangers are only counted: who may not call may not write to the disk either.
   */
  reserveRefused(life: Life): boolean;
  /** Gives back the slot of a request that was admitted; nothing for one that was not. */
  release(life: Life): void;
  readonly openRequests: () => number;
}

export interface AdmissionOptions {
  readonly config: () => Config;
  readonly clock: Clock;
  readonly journal: Journal;
  readonly onUnrecorded: () => void;
}

/** What a key has open, and its rate. */
export interface KeySlot {
  open: number;
  meter: RateMeter | undefined;
}

/** One gateway's own admission: requests a minute and requests at once for each key, and the gateway's own bound. */
export function createAdmission({ config, clock, journal, onUnrecorded }: AdmissionOptions): Admission {
  const states = new Map<string, KeySlot>();
  let openAll = 0;

  return {
    openRequests: () => openAll,
    admit(life, caller) {
      const { limits, bounds } = config();
      if (openAll >= bounds.requests)
        return refusal('overloaded', 'The gateway is at its bound of open requests', { retryAfterMs: 1_000 });
      let state = states.get(caller.id);
      if (!state) states.set(caller.id, (state = { open: 0, meter: undefined }));
      const { concurrency, rpm } = limits.defaults;
      if (concurrency !== undefined && state.open >= concurrency)
        return refusal('concurrency_limited', `This key has ${concurrency} requests open, which is its limit`, {
          retryAfterMs: 1_000,
        });
      let taken: RateMeter | undefined;
      if (rpm !== undefined) {
        const answer = takeOne(state.meter, rpm, clock.nowUs());
        if (answer.kind === 'wait')
          return refusal('rate_limited', `This key may send ${rpm} requests a minute`, {
            retryAfterMs: Math.ceil(answer.waitUs / 1000),
          });
        taken = answer.meter;
      }
      const unrecordable = reserveRecord(life);
      if (unrecordable) return unrecordable;
      // Nothing can refuse any more: take.
      if (taken) state.meter = taken;
      state.open++;
      openAll++;
      life.slot = state;
      return null;
    },
    reserveRefused(life) {
      if (life.caller === null || life.slot !== null) return false;
      const { bytesUsed, bytesMax } = journal.status();
      const hasRoom = bytesUsed * 2 <= bytesMax && journal.reserve() === null;
      if (!hasRoom) onUnrecorded();
      return hasRoom;
    },
    release(life) {
      if (life.slot === null) return;
      life.slot.open--;
      openAll--;
      life.slot = null;
    },
  };

  function reserveRecord(life: Life): Refusal | null {
    const problem = journal.reserve();
    if (problem === null) {
      life.hasJournalSpace = true;
      return null;
    }
    if (config().journal.when_full === 'refuse')
      return refusal('unrecordable', 'Requests cannot be recorded at the moment, and unrecorded traffic is not allowed here', {
        retryAfterMs: 5_000,
      });
    onUnrecorded();
    return null;
  }
}
